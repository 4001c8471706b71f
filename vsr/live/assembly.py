"""Makes the parts of a stream from its configuration: address, sinks and networks, all checked before anything runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from vsr.core.clock import Clock
from vsr.core.errors import ConfigError, EncoderUnavailableError, VsrError
from vsr.core.secrets import redacted
from vsr.core.variables import expanded
from vsr.live.config import StreamConfig
from vsr.live.networks import Networks
from vsr.live.page.server import parse_listen
from vsr.live.publish import Publisher
from vsr.live.rungs import Rungs
from vsr.live.sinks import LiveSink
from vsr.live.states import Change
from vsr.media.live.address import Address, parse_address
from vsr.media.live.destinations import Destination, check_encoder_fits, parse_destination
from vsr.media.live.encoder import EncoderOptions
from vsr.media.outputs import check_live_outputs
from vsr.upscale.options import NetworkOptions

PREVIEW = "preview"
DEFAULT_LISTEN = ":8080"


@dataclass(frozen=True, slots=True)
class Assembly:
    """The parts of a stream, none of them running. listen: (host, port) of the page, None for no page."""

    address: Address
    listen: tuple[str, int] | None
    rungs: Rungs
    sinks: tuple[LiveSink, ...]
    publisher: Publisher
    notes: tuple[str, ...]


def assemble(
    config: StreamConfig,
    on_change: Callable[[Change], None],
    clock: Clock,
    networks: Networks | None = None,
    weight: float = 1.0,
) -> Assembly:
    """The parts a configuration asks for. on_change: called with the changes of the sinks' states. networks, weight: as of
    Rungs.

    Raises VsrError where something of it cannot work.
    """
    address = _address(config)
    _check_required(config)
    destinations = [
        (_destination(config, sink), not config.require or sink in config.require)
        for sink in config.sinks
        if sink != PREVIEW
    ]
    files = [destination.file for destination, _ in destinations if destination.file is not None]
    check_live_outputs(config.source, files, config.report)
    listen = DEFAULT_LISTEN if config.preview is None and PREVIEW in config.sinks else config.preview
    keyframe = threading.Event()
    sinks = tuple(
        LiveSink(
            destination, config.timeout_s, config.retries, keyframe.set, on_change, clock, required=required
        )
        for destination, required in destinations
    )
    return Assembly(
        address=address,
        listen=parse_listen(listen) if listen is not None else None,
        rungs=Rungs(config, networks, clock, weight=weight),
        sinks=sinks,
        publisher=Publisher(_encoder(config, destinations), sinks, keyframe),
        notes=tuple(destination.note for destination, _ in destinations if destination.note),
    )


def _encoder(config: StreamConfig, destinations: Sequence[tuple[Destination, bool]]) -> EncoderOptions:
    """The encoder's options, with those that sinks need. Options that the user gave are kept."""
    needed = {name: value for of, _ in destinations for name, value in of.encoder_options.items()}
    return replace(config.encoder, encoder_options=needed | config.encoder.encoder_options)


def faults_of(config: StreamConfig, networks: Networks | None = None) -> Iterator[tuple[str, VsrError]]:
    """What of a configuration cannot work: the option of the command line, and the error."""
    parts: list[tuple[str, Callable[[], object]]] = [
        ("source", lambda: _address(replace(config, source_options={}))),
        ("source-option", lambda: [expanded(value) for value in config.source_options.values()]),
        ("require", lambda: _check_required(config)),
        ("model", lambda: Rungs(config, networks).close()),
    ]
    parts += [("sinks", partial(_destination, config, sink)) for sink in config.sinks if sink != PREVIEW]
    for key, check in parts:
        try:
            check()
        except EncoderUnavailableError as error:
            yield "encoder", error
        except VsrError as error:
            yield _of_network(config, networks) if key == "model" else key, error


def _of_network(config: StreamConfig, networks: Networks | None) -> str:
    """The option without which the networks can be made; else "model"."""
    usual = NetworkOptions()
    for name in ("device", "backend", "precision", "temporal", "strength", "scale"):
        network = replace(config.network, **{name: getattr(usual, name)})
        with contextlib.suppress(VsrError):
            Rungs(replace(config, network=network), networks).close()
            return name
    return "model"


def _address(config: StreamConfig) -> Address:
    return parse_address(
        config.source,
        realtime=config.realtime,
        timeout_s=config.timeout_s,
        size=config.size,
        frame_rate=config.frame_rate,
        options=config.source_options,
        waits=config.wait,
    )


def _check_required(config: StreamConfig) -> None:
    for name in config.require:
        if name not in config.sinks:
            raise ConfigError(
                f"{redacted(name)} is required, and no sink", hint="write it exactly as the sink is written"
            )


def _destination(config: StreamConfig, sink: str) -> Destination:
    destination = parse_destination(
        sink,
        timeout_s=config.timeout_s,
        rotate_s=config.rotate_s,
        rotate_bytes=config.rotate_bytes,
        keep_s=config.keep_s,
        keep_bytes=config.keep_bytes,
        overwrite=config.overwrite,
    )
    check_encoder_fits(destination, config.encoder.encoder)
    return destination
