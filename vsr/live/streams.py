"""Several streams in one process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from vsr.core.clock import SYSTEM_CLOCK, Clock
from vsr.core.control import Control
from vsr.core.errors import ConfigError, FaultsError, VsrError
from vsr.live.config import parse_token
from vsr.live.frame import StreamFrame
from vsr.live.networks import Networks
from vsr.live.one_of_several import OneOfSeveral
from vsr.live.page.server import PageServer, parse_listen
from vsr.live.report import StreamReport
from vsr.live.states import Change
from vsr.live.streams_config import NamedStream, StreamsConfig, faults

_TICK_S = 0.05

Read = Callable[[Sequence[NamedStream]], StreamsConfig]
"""Reads the configuration again, beside the streams that run. Raises VsrError."""


class Streams:
    """Sessions that share networks, the machine, and a page. Any thread may call `stop`, `cancel`, `reload` and `reports`; one
    thread calls `run`, once."""

    def __init__(
        self,
        config: StreamsConfig,
        *,
        read: Read | None = None,
        on_change: Callable[[str, Change], None] = lambda _name, _change: None,
        take: Callable[[str, StreamFrame], None] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """read: for `reload`. on_change: called with a stream's name and each change of its state, on its threads. take: called
        with every upscaled frame, likewise. Raises VsrError where something cannot work; then nothing has begun.
        """
        self.config = config
        self.control = Control()
        self.page: PageServer | None = None
        self._read = read
        self._clock = clock
        self._on_change = on_change
        self._take = take
        self._networks = Networks([stream.weight for stream in config.streams], clock)
        # Held while streams begin and end, so that a reload is never seen half done.
        self._changing = threading.Lock()
        self._begun = False
        _check(config)
        self._streams = self._made(config.streams)

    @property
    def streams(self) -> dict[str, OneOfSeveral]:
        """Those that there are now, by name."""
        return dict(self._streams)

    def reports(self) -> dict[str, StreamReport]:
        """The reports up to now, by name."""
        return {name: stream.report() for name, stream in self._streams.items()}

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user, before the streams begin."""
        said = [note for stream in self._streams.values() for note in stream.session.notes]
        return tuple(dict.fromkeys(said))

    @property
    def missing(self) -> tuple[str, ...]:
        """What went wrong, in words, when all is over: streams that failed, and required sinks that did not get all."""
        return tuple(
            f"{name}: {said}"
            for name, stream in self._streams.items()
            for said in ([stream.error.message] if stream.error is not None else stream.report().missing)
        )

    def stop(self) -> None:
        """End as if all sources ended here."""
        self.control.stop()

    def cancel(self) -> None:
        """End without waiting for frames in progress."""
        self.control.cancel()

    def run(
        self,
        on_tick: Callable[[], None] = lambda: None,
        on_page: Callable[[str], None] = lambda _url: None,
        on_end: Callable[[], None] = lambda: None,
    ) -> dict[str, StreamReport]:
        """Run until all streams have ended, or `stop`; see Session.run. Raises VsrError for a page that cannot be served."""
        try:
            if self.config.preview is not None:
                self.page = PageServer(
                    parse_listen(self.config.preview),
                    parse_token(self.config.token),
                    lambda: self._streams,
                    self.reload if self._read is not None else None,
                )
                on_page(self.page.url)
            self.control.on_cancel(self._cancel_all)
            with self._changing:
                self._begun = True
                for stream in self._streams.values():
                    stream.begin()
            while not self.control.stopped and not self._all_ended():
                on_tick()
                self._clock.sleep(_TICK_S)
        finally:
            on_end()
            self.control.stop()
            with self._changing:
                for stream in self._streams.values():
                    stream.cancel() if self.control.cancelled else stream.stop()
                for stream in self._streams.values():
                    stream.join()
            if self.page is not None:
                self.page.close()
        return self.reports()

    def reload(self) -> str:
        """Read the configuration again; add, remove and change streams, and return what was done. The others do not notice.

        Raises VsrError for a faulty configuration, or where it is from no file; then nothing has changed.
        """
        if self._read is None:
            raise ConfigError(
                "these streams are from no file that could be read again", hint="give a file's path"
            )
        with self._changing:
            config = self._read([stream.stream for stream in self._streams.values() if not stream.ended])
            if self.control.stopped:
                return "vsr is about to end"
            if (config.preview, config.token) != (self.config.preview, self.config.token):
                raise FaultsError(["preview and token cannot change while vsr runs; start it again"])
            wanted = {stream.name: stream for stream in config.streams}
            before = self._streams
            kept = {
                name: stream
                for name, stream in before.items()
                if not stream.ended and name in wanted and stream.stream.is_but_for_weight(wanted[name])
            }
            self._networks.weigh([stream.weight for stream in config.streams])
            try:
                new = self._made([stream for name, stream in wanted.items() if name not in kept])
            except VsrError:
                self._networks.weigh([stream.weight for stream in self.config.streams])
                raise
            gone = [stream for name, stream in before.items() if name not in kept]
            for stream in gone:
                stream.stop()
            for stream in gone:
                stream.join()
            said = {
                "added": new.keys() - before.keys(),
                "removed": before.keys() - wanted.keys(),
                "changed": {name for name in new if name in before}
                | {name for name, stream in kept.items() if stream.stream.weight != wanted[name].weight},
            }
            for name, stream in kept.items():
                stream.weigh(wanted[name])
            self.config, self._streams = config, {name: (kept | new)[name] for name in wanted}
            if self._begun:
                for stream in new.values():
                    stream.begin()
        return (
            "; ".join(f"{how}: {', '.join(sorted(names))}" for how, names in said.items() if names)
            or "no change"
        )

    def _all_ended(self) -> bool:
        """Whether no stream runs any more. Not while a reload ends streams: it begins others."""
        if not self._changing.acquire(blocking=False):
            return False
        try:
            return all(stream.ended for stream in self._streams.values())
        finally:
            self._changing.release()

    def _made(self, streams: Sequence[NamedStream]) -> dict[str, OneOfSeveral]:
        """Them, not begun. Raises VsrError where one cannot work; then none is left."""
        made: dict[str, OneOfSeveral] = {}
        try:
            for stream in streams:
                made[stream.name] = OneOfSeveral(
                    stream, self._networks, self._on_change, self._take, self._clock
                )
        except VsrError:
            for one in made.values():
                one.join()
            raise
        return made

    def _cancel_all(self) -> None:
        for stream in self._streams.values():
            stream.cancel()


def _check(config: StreamsConfig) -> None:
    """Raise FaultsError for streams that cannot run, or not together."""
    found = [
        f"{fault.stream}: `{fault.key}`: {fault.error.message}"
        for fault in faults(config.streams, preview=config.preview)
    ]
    if found:
        raise FaultsError(found)
