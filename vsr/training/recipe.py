"""A recipe: the TOML file that describes the network, the data and the training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

from vsr.core.errors import ConfigError, reason
from vsr.core.tables import checked, filled, one_of, only_known, prefixed, read_table, short
from vsr.models.archs import COMMUNITY, WITH_MEMORY, spec_from_dict
from vsr.training.damage import DEGRADATIONS

# The largest value of float32, in which the steps are computed.
_LARGEST = 3.4e38


@dataclass(frozen=True)
class DataRecipe:
    """`[data]`. `patch` is the side of a low-resolution patch in pixels, `batch` how many make a step. Photographs are
    used at each of `hr_scales` of their size, reduced by `degradation`: "bicubic", or with blur, noise and compression, anew
    for each sample: "realistic", "drawn" or "light" (see `vsr.training.damage`). `rendered_share` of the samples, 0..1, come
    from `rendered_count` drawn pictures of text, line art, patterns of pixels and combing. Within a picture, places are drawn
    by their error to the power `error_power` (see `vsr.training.patch_sampling`; 0 = all alike). `frames` above 1 makes
    sequences of so many frames, of clips and of photographs that are moved (see `vsr.training.clips`), for a network with
    memory. With a `teacher`, the name or path of a package, the ground truth of photographs is the teacher's result for their
    reduction (see `vsr.training.teacher`), and they may be used at up to twice their size."""

    patch: int = 48
    batch: int = 16
    hr_scales: tuple[float, ...] = (1.0,)
    degradation: str = "bicubic"
    rendered_share: float = 0.0
    rendered_count: int = 100
    error_power: float = 0.0
    teacher: str = ""
    frames: int = 1

    def __post_init__(self) -> None:
        _require_finite(self)
        _require(
            self.patch >= 8 and self.patch % 2 == 0, f"patch must be even and at least 8, got {self.patch}"
        )
        one_of("degradation", self.degradation, ("bicubic", *DEGRADATIONS))
        _require(self.batch >= 1, f"batch must be at least 1, got {self.batch}")
        # There is no ground truth beyond the photograph itself, and a teacher needs none.
        most = 2 if self.teacher else 1
        fine = bool(self.hr_scales) and all(0 < scale <= most for scale in self.hr_scales)
        _require(fine, f"hr_scales must be above 0 and at most {most}, got {list(self.hr_scales)}")
        _require(0 <= self.rendered_share <= 1, f"rendered_share must be in 0..1, got {self.rendered_share}")
        _require(self.error_power >= 0, f"error_power must not be negative, got {self.error_power}")
        _require(1 <= self.frames <= 30, f"frames must be in 1..30, got {self.frames}")
        _require(self.rendered_count >= 1, f"rendered_count must be at least 1, got {self.rendered_count}")


_CHOICES = {
    "loss": ("l1", "charbonnier", "mse", "ssim", "psnr"),
    "schedule": ("cosine", "step"),
    "optimizer": ("adam", "adamw", "muon"),
    "precision": ("bf16", "fp16", "fp32"),
}


@dataclass(frozen=True)
class TrainRecipe:
    """`[train]`.

    `steps` of `optimizer`: "adam", "adamw" with `weight_decay`, or "muon", Adam for all but the hidden kernels, whose steps
    are `muon_lr` where Adam's are `lr`, and which alone `weight_decay` holds (see `vsr.training.optimizers`). The rate rises
    to `lr` over `warmup` steps and falls to zero along a cosine, or with `schedule` "step" is halved `halvings` times at equal
    distances. `loss` is "l1", "charbonnier", "mse", "ssim" or "psnr"; the last `mse_share` of the training, 0..1, uses the
    mean squared error; a variational network adds `kl_weight` times its divergence from the prior in nats. Gradients are
    clipped to the norm `clip_norm` (0 = not). `ema_decay` averages the weights that are kept (0 = not). `rounded` trains a
    chain for int8 (see `vsr.models.archs.rounding`). `steady` weighs the loss of the differences between frames of a sequence,
    which flicker makes. `precision` of the convolutions is "bf16", "fp16" or "fp32". Evaluation and a checkpoint come every
    `val_every` steps; another
    checkpoint comes where those take more than five minutes.
    """

    steps: int = 100_000
    lr: float = 1e-3
    warmup: int = 500
    schedule: str = "cosine"
    halvings: int = 4
    optimizer: str = "adam"
    weight_decay: float = 0.0
    muon_lr: float = 0.01
    loss: str = "l1"
    mse_share: float = 0.2
    kl_weight: float = 1e-4
    clip_norm: float = 0.5
    rounded: bool = False
    steady: float = 0.0
    ema_decay: float = 0.999
    precision: str = "bf16"
    seed: int = 0
    val_every: int = 2000

    def __post_init__(self) -> None:
        _require_finite(self)
        _require(self.steps >= 1, f"steps must be at least 1, got {self.steps}")
        _require(self.lr > 0, f"lr must be positive, got {self.lr}")
        _require(self.muon_lr > 0, f"muon_lr must be positive, got {self.muon_lr}")
        _require(self.warmup >= 0, f"warmup must not be negative, got {self.warmup}")
        for name, known in _CHOICES.items():
            one_of(name, getattr(self, name), known)
        _require(self.halvings >= 0, f"halvings must not be negative, got {self.halvings}")
        _require(self.weight_decay >= 0, f"weight_decay must not be negative, got {self.weight_decay}")
        _require(0 <= self.mse_share <= 1, f"mse_share must be in 0..1, got {self.mse_share}")
        _require(self.kl_weight >= 0, f"kl_weight must not be negative, got {self.kl_weight}")
        _require(self.clip_norm >= 0, f"clip_norm must not be negative, got {self.clip_norm}")
        _require(self.steady >= 0, f"steady must not be negative, got {self.steady}")
        _require(0 <= self.ema_decay < 1, f"ema_decay must be in 0..1, got {self.ema_decay}")
        _require(0 <= self.seed < 2**63, f"seed must be at least 0 and below 2^63, got {self.seed}")
        _require(self.val_every >= 1, f"val_every must be at least 1, got {self.val_every}")


@dataclass(frozen=True)
class GanRecipe:
    """`[gan]`: an adversary as in `vsr.training.adversary`, of `channels` at full resolution, its Adam at `lr`.

    `weight` is that of the adversarial loss, `features` that of the perceptual one; the loss of `[train]` has 1.
    """

    weight: float = 0.02
    features: float = 0.1
    channels: int = 32
    lr: float = 1e-4

    def __post_init__(self) -> None:
        _require_finite(self)
        _require(self.weight >= 0, f"weight must not be negative, got {self.weight}")
        _require(self.features >= 0, f"features must not be negative, got {self.features}")
        _require(self.channels >= 1, f"channels must be at least 1, got {self.channels}")
        _require(self.lr > 0, f"lr must be positive, got {self.lr}")


@dataclass(frozen=True)
class Recipe:
    """A whole recipe. `arch` names the architecture, `spec` is its hyperparameters, scale included; `gan` describes the
    discriminator, None without one."""

    name: str
    scale: int
    arch: str
    spec: Any
    data: DataRecipe
    train: TrainRecipe
    gan: GanRecipe | None = None

    def __post_init__(self) -> None:
        """Values that are fine by themselves and do not go together. Raises ConfigError that names them."""
        data, unit = self.data, self.spec.size_multiple
        fits = data.patch % unit == 0
        _require(fits, f"[data] patch must be a multiple of {unit} for {self.arch}, got {data.patch}")
        with_gan = {"[gan]": self.gan is not None}
        of_pairs = {"[data] error_power": data.error_power > 0, "[data] teacher": bool(data.teacher)}
        of_luma = of_pairs | {"[train] loss = ssim": self.train.loss == "ssim"} | with_gan
        of_pictures = {
            "[data] degradation": data.degradation != "bicubic",
            "[data] rendered_share": data.rendered_share > 0,
        }
        if data.frames > 1:
            has_memory = self.arch == WITH_MEMORY
            _require(has_memory, f"[data] frames is for networks with memory, and {self.arch} has none")
            of_size = {"[data] hr_scales": data.hr_scales != (1.0,)}
            _none(
                of_pairs | of_pictures | of_size | with_gan,
                f"for single pictures, and frames is {data.frames}",
            )
        if self.rgb:
            _none(of_luma | of_pictures, f"for networks on luma, and {self.arch} is on RGB")
        elif self.planes == 3:
            _require(
                self.damaged, f"[data] degradation of a network in colour must be {' or '.join(DEGRADATIONS)}"
            )
            _none(of_luma, "for networks on luma")
        if self.damaged:
            _none(of_pairs, "for degradation = bicubic")

    @property
    def damaged(self) -> bool:
        """Whether each sample is damaged anew."""
        return self.data.degradation in DEGRADATIONS

    @property
    def planes(self) -> int:
        """Of a sample: 1, luma alone, or 3."""
        return 3 if self.rgb else int(getattr(self.spec, "planes", 1))

    @property
    def rgb(self) -> bool:
        """Whether the network is on RGB, and not on luma."""
        return self.arch == COMMUNITY

    def changed(
        self,
        *,
        steps: int | None = None,
        seed: int | None = None,
        lr: float | None = None,
        teacher: str | None = None,
    ) -> Recipe:
        """The recipe with the given values. lr: Muon's rate changes in proportion. teacher: "" for none, and photographs at no
        more than their own size.

        Raises ConfigError.
        """
        given: dict[str, Any] = {"steps": steps, "seed": seed, "lr": lr}
        if lr is not None:
            given["muon_lr"] = self.train.muon_lr * lr / self.train.lr
        train = replace(self.train, **{name: value for name, value in given.items() if value is not None})
        data = (
            self.data
            if teacher is None
            else replace(self.data, teacher=teacher, hr_scales=self._scales(teacher))
        )
        return replace(self, train=train, data=data)

    def _scales(self, teacher: str) -> tuple[float, ...]:
        """The values in `hr_scales` that have a ground truth: without a teacher none above 1, the photograph's own size."""
        scales = self.data.hr_scales
        return scales if teacher else tuple(scale for scale in scales if scale <= 1) or (1.0,)

    def as_dict(self) -> dict[str, Any]:
        """The entries of the TOML file as plain values, with the defaults filled in."""
        hyperparameters = {key: value for key, value in asdict(self.spec).items() if key != "scale"}
        return {
            "name": self.name,
            "scale": self.scale,
            "arch": {"name": self.arch, **hyperparameters},
            "data": asdict(self.data) | {"hr_scales": list(self.data.hr_scales)},
            "train": asdict(self.train),
            **({"gan": asdict(self.gan)} if self.gan else {}),
        }


def differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """The differences between two tables of `Recipe.as_dict`, in words: "[train] lr (0.001, now 0.01)"."""
    one, other = _entries(first), _entries(second)
    keys = list(dict.fromkeys([*one, *other]))
    return [f"{k} ({one.get(k)}, now {other.get(k)})" for k in keys if one.get(k) != other.get(k)]


def _entries(table: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= {f"[{key}] {k}": v for k, v in value.items()} if isinstance(value, Mapping) else {key: value}
    return found


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with vsr."""
    folder = resources.files("vsr.training") / "recipes"
    return sorted(
        entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")
    )


def load_recipe(name_or_path: str | Path) -> Recipe:
    """A recipe by its name, if it comes with vsr, or by the path of a TOML file. Raises ConfigError that names the wrong
    entry."""
    path = Path(name_or_path)
    try:
        if path.suffix == ".toml":
            return recipe_from_dict(path.stem, read_table(path))
        if (name := str(name_or_path)) in shipped_recipes():
            return recipe_from_dict(
                name, read_table(resources.files("vsr.training") / "recipes" / f"{name}.toml")
            )
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {reason(error)}") from error
    hint = f"shipped are: {', '.join(shipped_recipes())}; a file's name ends in .toml"
    raise ConfigError(f"no recipe {str(name_or_path)!r}", hint=hint)


def recipe_from_dict(name: str, table: Mapping[str, Any]) -> Recipe:
    """A recipe from plain values, as `Recipe.as_dict` returns them. Raises ConfigError that names the wrong entry."""
    with prefixed(f"recipe {name}: "):
        only_known(table, ("name", "scale", "arch", "data", "train", "gan"))
        sections = {
            key: dict(checked(key, table.get(key, {}), Mapping[str, Any]))
            for key in ("arch", "data", "train", "gan")
        }
        if "name" not in sections["arch"] or "scale" not in table:
            raise ConfigError("scale and [arch] name are missing", hint="every recipe has them")
        arch = checked("[arch] name", sections["arch"].pop("name"), str)
        spec = spec_from_dict(arch, {"scale": table["scale"], **sections["arch"]})
        data = filled(DataRecipe, sections["data"], "[data] ")
        train = filled(TrainRecipe, sections["train"], "[train] ")
        gan = filled(GanRecipe, sections["gan"], "[gan] ") if "gan" in table else None
        return Recipe(name, table["scale"], arch, spec, data, train, gan)


def _require_finite(section: Any) -> None:
    """Raise ConfigError for a fraction that is no number, or beyond float32."""
    for field in fields(section):
        value = getattr(section, field.name)
        if isinstance(field.default, float) and not abs(value) <= _LARGEST:
            raise ConfigError(f"{field.name} must be a number up to {_LARGEST}, got {short(value)}")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def _none(given: Mapping[str, bool], what: str) -> None:
    """Raise ConfigError for the first entry that is given: it is for something else."""
    for name, is_given in given.items():
        _require(not is_given, f"{name} is {what}")
