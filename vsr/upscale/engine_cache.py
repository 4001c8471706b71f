"""The engines of a network, compiled as planes need them."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from vsr.backends.base import Backend, CompileOptions, Engine
from vsr.backends.process import OfProcess
from vsr.models import GraphLayout, ModelSpec

# A stream needs one or two engines, pictures need three for each format.
_MAX_ENGINES = 4
# The first sizes of pictures have engines of their own, which are faster; all others share one.
_OWN_SIZES = 2
# From this number of pixels on, compiling an engine for one size takes less time than an engine for any size loses.
_LARGE = 1_000_000

Shapes = tuple[tuple[int, ...], ...]
_Key = tuple[GraphLayout, Shapes, int]


class EngineCache:
    """Engines of one model on one backend, those used last; for several threads.

    backend: its name. precision: of the last engine compiled, empty before. compile_s: seconds that compiling took.
    """

    def __init__(self, backend: Backend, spec: ModelSpec, options: CompileOptions) -> None:
        self.backend, self.precision, self.compile_s = backend.name, "", 0.0
        self._backend, self._spec, self._options = backend, spec, options
        self._most = _MAX_ENGINES
        self._engines: OrderedDict[_Key, Engine] = OrderedDict()
        self._users: Counter[_Key] = Counter()
        self._sizes: Counter[tuple[GraphLayout, int]] = Counter()
        self._lock = threading.Lock()  # Held while an engine is made.
        self._process = OfProcess()

    @property
    def compiled(self) -> list[Shapes]:
        """Shapes of the planes that each engine there is takes."""
        return [shapes for _layout, shapes, _in_flight in self._engines]

    def expect(self, streams: int) -> None:
        """Keep engines for that number of streams."""
        self._most = max(_MAX_ENGINES, 2 * streams)

    @contextmanager
    def taken(
        self, layout: GraphLayout, shapes: Mapping[str, tuple[int, ...]], in_flight: int
    ) -> Generator[Engine]:
        """The engine for planes of these shapes and this number of threads; it is not closed while it is used. Raises as
        `Backend.compile` does."""
        self._process.check("an Upscaler")
        stills = self._options.stills and max(shape[-2] * shape[-1] for shape in shapes.values()) < _LARGE
        with self._lock:
            if stills:
                shapes = self._own_or_any(layout, shapes, in_flight)
            key = (layout, tuple(shapes.values()), in_flight)
            if key not in self._engines:
                idle = [other for other in self._engines if not self._users[other]]
                for other in idle[: max(0, len(self._engines) + 1 - self._most)]:
                    self._engines.pop(other).close()
                options = replace(self._options, in_flight=in_flight, stills=stills)
                begun = time.perf_counter()
                self._engines[key] = self._backend.compile(self._spec, layout, shapes, options)
                self.compile_s += time.perf_counter() - begun
            self._engines.move_to_end(key)
            self._users[key] += 1
            engine = self._engines[key]
        try:
            yield engine
        finally:
            with self._lock:
                self._users[key] -= 1
                self.precision = engine.precision

    def _own_or_any(
        self, layout: GraphLayout, shapes: Mapping[str, tuple[int, ...]], in_flight: int
    ) -> Mapping[str, tuple[int, ...]]:
        """The size for which an engine for a small picture is compiled."""
        if not self._backend.takes_any_size(self._spec, self._options):
            return shapes
        if (layout, tuple(shapes.values()), in_flight) in self._engines:
            return shapes
        self._sizes[layout, in_flight] += 1
        if self._sizes[layout, in_flight] <= _OWN_SIZES:
            return shapes
        return {name: (*shape[:2], -1, -1) for name, shape in shapes.items()}

    def drop_idle(self) -> None:
        """Close the engines that are not in use."""
        with self._lock:
            for key in [key for key in self._engines if not self._users[key]]:
                self._engines.pop(key).close()

    def close(self) -> None:
        """Close all. Closing twice does nothing; nor does closing in a forked process, which lacks the engines' threads."""
        if self._process.left:
            return
        for engine in self._engines.values():
            engine.close()
        self._engines.clear()
