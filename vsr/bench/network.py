"""One network on one clip: each stage alone, the job into every output, and the command in a fresh process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from vsr.bench.clips import Clip
from vsr.bench.fresh import fresh_runs, start_of
from vsr.bench.plan import NULL, Network, Output
from vsr.bench.recorder import Recorder, WarmUp
from vsr.bench.result import STAGES, Case, Cell, LeftOut, Part
from vsr.bench.stages import decode_alone, encode_alone, infer_alone, steps_alone, together
from vsr.bench.statistics import Spread, digits
from vsr.core.clock import SYSTEM_CLOCK
from vsr.core.errors import VsrError
from vsr.core.frame import Frame
from vsr.jobs.size import enlarged
from vsr.machine.load import LoadMeter
from vsr.models.spec import ModelSpec
from vsr.upscale.upscaler import Upscaler

# Shares of a network's time. Encoding and the job have one for each output.
_DECODE, _INFER, _STEPS, _FRESH, _ENCODE, _TOGETHER = 0.25, 1.0, 0.45, 1.5, 0.5, 2.0
_MOST_STEPS = 3


@dataclass(frozen=True, slots=True)
class Alone:
    """The measurements of a network that are the same for all outputs. case: without an output. large: the enlarged frames."""

    case: Case
    spec: ModelSpec
    parts: dict[str, Part]
    large: list[Frame]

    @property
    def gflops(self) -> float | None:
        """Thousand million operations a second while inferring; None for a package that does not say how many a pixel takes."""
        width, height = self.case.size
        if not self.spec.macs_per_pixel:
            return None
        return 2e-9 * self.spec.macs_per_pixel * width * height * self.parts["infer"].fps.median


class NetworkBench:
    """Measures one network. seconds: time for all measurements. folder: for files. say: gets the name of each part before it
    is measured."""

    def __init__(
        self, network: Network, clip: Clip, seconds: float, folder: Path, say: Callable[[str], None]
    ) -> None:
        self._network, self._clip, self._folder = network, clip, folder
        self._tell = say
        outputs = network.outputs
        encoders = sum(output.encoder != NULL for output in outputs)
        self._left = _DECODE + _INFER + _STEPS + _FRESH + _ENCODE * encoders + _TOGETHER * len(outputs)
        self._deadline = SYSTEM_CLOCK.now() + seconds
        self._at_once = 1

    def alone(self) -> Alone:
        """Decode and infer. Raises what `Upscaler` raises."""
        options, clip = self._network.options, self._clip
        with Upscaler(options) as upscaler:
            width, height = size = clip.info.width, clip.info.height
            batch = upscaler.batch(width, height)
            self._at_once = batch * upscaler.in_flight
            parts = {}
            self._say("decode")
            decode_alone(clip.url, options.threads, record := self._recorder(_DECODE))
            parts["decode"] = record.part()
            self._say(f"infer, {upscaler.spec.id} on {upscaler.backend}")
            large = infer_alone(upscaler, clip.frames, record := self._recorder(_INFER))
            parts["infer"] = record.part()
            parts |= steps_alone(upscaler, clip.frames[0], self._of_a_step)
            case = Case(
                model=upscaler.spec.id,
                scale=upscaler.scale,
                size=size,
                size_out=(width * upscaler.scale, height * upscaler.scale),
                backend=upscaler.backend,
                precision=upscaler.precision,
                device=upscaler.device,
                batch=batch,
                in_flight=upscaler.in_flight,
                threads=options.threads,
                input=clip.name,
            )
            return Alone(case, upscaler.spec, parts, large)

    def cells(self, alone: Alone, rate: Spread | None) -> tuple[list[Cell], list[LeftOut]]:
        """A cell for each output, and the outputs that could not be measured, with the reason. rate: the best rate of this
        machine."""
        cells, left_out = [], []
        for output in self._network.outputs:
            meter = LoadMeter()
            try:
                cell = self._cell(alone, output)
            except VsrError as error:
                left_out.append(LeftOut(f"{self._network} into {output}", error.message))
                continue
            gflops = alone.gflops
            cells.append(
                replace(
                    cell,
                    gflops=None if gflops is None else round(gflops, 2),
                    of_rate=None if gflops is None or rate is None else round(gflops / rate.median, 3),
                    load=meter.load(),
                )
            )
        return self._with_start(cells), left_out

    def _cell(self, alone: Alone, output: Output) -> Cell:
        case = replace(alone.case, encoder=output.encoder, preset=output.preset)
        parts = dict(alone.parts)
        if output.encoder != NULL:
            self._say(f"encode, {output}")
            info = enlarged(self._clip.info, alone.case.scale)
            threads, record = self._network.options.threads, self._recorder(_ENCODE)
            encode_alone(alone.large, info, output, threads, self._folder, record)
            parts["encode"] = record.part()
        self._say(f"all together into {output}")
        record = self._recorder(_TOGETHER)
        report, stages = together(self._network.options, self._clip.url, output, self._folder, record)
        whole = record.part()
        return Cell(
            case=case,
            together=whole,
            alone=parts,
            package=_hash_of(alone.spec.folder),
            cores=digits(parts["infer"].cpu_ms.median * parts["infer"].fps.median / 1000),
            stages=stages,
            bottleneck=max(stages, key=lambda stage: stage.busy).name,
            cpu_over_alone=_over(whole, [part for name, part in parts.items() if name in STAGES]),
            notes=report.notes,
        )

    def _with_start(self, cells: list[Cell]) -> list[Cell]:
        """Add the start of the command in its own process to the last cell."""
        if not cells:
            return []
        self._say("a fresh process")
        case = cells[-1].case
        output, deadline = Output(case.encoder, case.preset), self._until(_FRESH)
        try:
            runs = fresh_runs(self._network.options, self._clip, output, self._folder, deadline)
        except VsrError as error:
            return [*cells[:-1], replace(cells[-1], notes=(*cells[-1].notes, error.message))]
        peak = runs[0].peak_bytes
        memory_mb = None if peak is None else round(peak / 1e6, 1)
        return [*cells[:-1], replace(cells[-1], start=start_of(runs), memory_mb=memory_mb)]

    def _say(self, what: str) -> None:
        self._tell(f"{self._network}: {what}")

    def _recorder(self, share: float) -> Recorder:
        kept = len(self._clip.frames)
        warm_up = WarmUp(least=min(2 * self._at_once, kept // 2), most=2 * kept)
        return Recorder(warm_up, self._until(share))

    def _of_a_step(self) -> Recorder:
        return Recorder(WarmUp(most=8, seconds=0.3), self._until(_STEPS / _MOST_STEPS))

    def _until(self, share: float) -> float:
        """The time at which the next part must end, so that the later parts get their shares."""
        now = SYSTEM_CLOCK.now()
        part, self._left = share / self._left, self._left - share
        return now + part * max(0.0, self._deadline - now)


def _over(whole: Part, parts: Iterable[Part]) -> Spread:
    """Processor time of the job, divided by the sum of its stages alone."""
    alone = [part.cpu_ms for part in parts]
    return Spread(
        digits(whole.cpu_ms.median / sum(part.median for part in alone)),
        digits(whole.cpu_ms.low / sum(part.high for part in alone)),
        digits(whole.cpu_ms.high / sum(part.low for part in alone)),
        min(part.repeats for part in (whole.cpu_ms, *alone)),
    )


@cache
def _hash_of(folder: Path) -> str:
    """A hash of the names and contents of a package's files."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(f"{path.name}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
