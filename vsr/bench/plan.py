"""Which cases there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from vsr.bench.config import BenchConfig
from vsr.core.errors import ConfigError
from vsr.media.write.encoder_traits import traits_of
from vsr.media.write.encoders import encoder_named
from vsr.models import find_model
from vsr.upscale.options import NetworkOptions

NULL = "null"
DEFAULT_SIZE = (960, 540)
_DEFAULT_ENCODERS = (NULL, "libx264")
_MAX_SIDE = 16384


@dataclass(frozen=True, slots=True)
class Output:
    """Where frames go. preset: None for vsr's default, and where there is none."""

    encoder: str
    preset: str | None = None

    def __str__(self) -> str:
        return f"{self.encoder} {self.preset or ''}".strip()


@dataclass(frozen=True, slots=True)
class Network:
    """One network on frames of one size, and all outputs it is measured into. size: None for that of the clip."""

    options: NetworkOptions
    size: tuple[int, int] | None
    outputs: tuple[Output, ...]

    def __str__(self) -> str:
        options, size = self.options, self.size
        words = [
            options.model,
            options.backend,
            options.device,
            options.precision or "",
            f"x{options.scale:g}" if options.scale else "",
        ]
        words += [f"{size[0]}x{size[1]}" if size else "", f"batch {options.batch}" if options.batch else ""]
        return ", ".join(word for word in words if word and word != "auto") or "auto"


def networks(config: BenchConfig) -> list[Network]:
    """All combinations. Raises, before any work, ConfigError for a size that no encoder takes and a preset that none has;
    EncoderUnavailableError, UnknownModelError, WeightsError."""
    outputs = tuple(_outputs(config.encoders or _DEFAULT_ENCODERS, config.presets))
    sizes = config.sizes or ((None,) if config.input else (DEFAULT_SIZE,))
    found = []
    for model, scale, size, backend, device, precision, batch in product(
        config.models or ("auto",),
        config.scales or (None,),
        sizes,
        config.backends or ("auto",),
        config.devices or ("auto",),
        config.precisions or (None,),
        config.batches or (None,),
    ):
        options = NetworkOptions(
            model, scale, backend, device, config.tile, batch, config.threads, precision, config.build
        )
        if size is not None:
            _check_size(size, find_model(model, scale or 2.0).scale)
        found.append(Network(options, size, outputs))
    return list(dict.fromkeys(found))


def _outputs(encoders: tuple[str, ...], presets: tuple[str, ...]) -> Iterator[Output]:
    """Each encoder with each preset that it knows, or with its default where it knows none of them."""
    unused = set(presets)
    names = [name if name == NULL else encoder_named(name) for name in encoders]
    for encoder in dict.fromkeys(names):
        if encoder == NULL:
            yield Output(NULL)
            continue
        traits = traits_of(encoder)
        known = [preset for preset in dict.fromkeys(presets) if preset in traits.presets]
        unused -= set(known)
        if not known:
            yield Output(encoder, traits.preset)
        yield from (Output(encoder, preset) for preset in known)
    if unused:
        having = [f"{name} has {', '.join(traits_of(name).presets)}" for name in names if name != NULL]
        raise ConfigError(
            f"no encoder given has a preset {sorted(unused)[0]!r}",
            hint="; ".join(having) or "give --encoder, too",
        )


def _check_size(size: tuple[int, int], scale: int) -> None:
    width, height = size
    most = _MAX_SIDE // scale
    if width % 2 or height % 2 or not 2 <= min(width, height) <= max(width, height) <= most:
        raise ConfigError(
            f"size {width}x{height} cannot be measured", hint=f"give even sides from 2 to {most} pixels"
        )
