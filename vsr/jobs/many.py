"""Many inputs, one after another."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vsr.core.control import Control
from vsr.core.errors import ConfigError, VsrError
from vsr.files.checks import is_folder, make_folder
from vsr.jobs.config import UpscaleConfig
from vsr.jobs.in_segments import Upscaling
from vsr.jobs.outlook import Preview
from vsr.jobs.progress import OnProgress, Progress
from vsr.jobs.report import Report
from vsr.jobs.size import OutputSize
from vsr.jobs.upscale import UpscaleJob
from vsr.media.address import file_name, is_url
from vsr.media.inputs import expand_inputs
from vsr.media.outputs import check_outputs, default_output, is_there
from vsr.media.write.containers import NULL, STDOUT
from vsr.models import find_model

if TYPE_CHECKING:
    from vsr.jobs.batch import Batch
    from vsr.jobs.cluster import Cluster


def plan_outputs(config: UpscaleConfig, *, make: bool = True) -> list[tuple[str, str]]:
    """(input, output) of all inputs of the configuration. make: whether to create the folders of the outputs.

    Raises ConfigError where an output would be an input or two inputs would share one, SourceOpenError for what isn't there.
    """
    items = expand_inputs(config.inputs, recursive=config.recursive)
    output = file_name(config.output) if config.output is not None else None
    folder = Path(output) if output is not None and _names_folder(output) else None
    below: dict[str, Path] = {}
    if config.recursive and folder is not None:
        # Outputs of an earlier run in that folder are no inputs of this run.
        items = [item for item in items if not _is_in(item, folder)]
        below = {item: place for item in items if (place := _below(item, config.inputs)) is not None}
    if output is None or folder is not None:
        suffix_scale = config.network.scale or find_model(config.network.model).scale
        size = str(OutputSize.read(config.size)) if config.size else None
        outputs = default_output(items, suffix_scale, size, folder, below)
    elif len(items) == 1 or output == NULL:
        outputs = [output] * len(items)
    else:
        raise ConfigError(
            f"{len(items)} inputs cannot go to one output, {output}",
            hint="name a folder, with a slash at its end",
        )
    check_outputs(items, outputs, config.report)
    if folder is not None and make:
        for place in {folder, *(folder / place for place in below.values())}:
            make_folder(place)
    return list(zip(items, outputs, strict=True))


def _below(item: str, inputs: Sequence[str]) -> Path | None:
    """The subfolder of an item in the folder it was found in; None for an item that was named itself."""
    roots = [Path(file_name(given)) for given in inputs]
    for root in roots:
        if Path(item).is_relative_to(root) and Path(item) != root:
            return Path(item).relative_to(root).parent
    return None


def _is_in(item: str, folder: Path) -> bool:
    return not is_url(item) and Path(file_name(item)).resolve().is_relative_to(folder.resolve())


def _names_folder(output: str) -> bool:
    return output not in (STDOUT, NULL) and (output.endswith(("/", os.sep)) or is_folder(Path(output)))


def upscale_many(
    config: UpscaleConfig,
    *,
    progress: OnProgress | None = None,
    control: Control | None = None,
    on_failure: Callable[[str, VsrError], None] | None = None,
    on_left: Callable[[Sequence[str]], None] | None = None,
    on_said: Callable[[str], None] = lambda _: None,
    on_skip: Callable[[str], None] = lambda _: None,
    on_begin: Callable[[Preview, int, int], None] = lambda _preview, _item, _items: None,
    on_report: Callable[[Report, int, int], None] = lambda _report, _item, _items: None,
) -> list[Report]:
    """Upscale every input, and return the reports of the finished ones, also of those that an unfinished earlier run has done.

    on_failure: gets an input that failed, and the others continue; without it, the first failure is raised at once. on_left:
    gets the inputs that were not begun because of `control.stop`. on_said: gets sentences for the user, at once. on_skip: gets
    each output that exists, whose input is skipped. on_begin: gets the plan of each input before its first frame. on_report:
    gets the report of each input as it is done. Both also get the input's number, from 0, and the number of inputs.

    Raises ConfigError before any work, Cancelled after `control.cancel`.
    """
    control = control or Control()
    pairs = plan_outputs(config)
    reports: list[Report] = []
    with (
        _batch(config, pairs, on_said) as batch,
        UpscaleJob(config, control) as job,
        _cluster(config) as cluster,
    ):
        upscaling = Upscaling(config, job, control, on_said, cluster)
        done = enumerate(batch.done(*pair) for pair in pairs) if batch else ()
        before = {item: report for item, report in done if report}
        left = {item: url for item, (url, _) in enumerate(pairs) if item not in before}
        following = dict(zip(left, list(left.values())[1:], strict=False))
        watch = _OfAll(left, progress) if progress and len(left) > 1 else progress
        for item, (url, output) in enumerate(pairs):
            control.check()
            if item in before:
                with suppress(VsrError):  # A killed run may have left the folder, which does no harm.
                    upscaling.forget(Path(output))
                reports.append(before[item])
                continue
            if item and control.stopped:
                if on_left is not None:
                    on_left([left[later] for later in left if later >= item])
                break
            if config.skip_existing and is_there(output):
                on_skip(output)
                continue
            try:
                report = upscaling.run(
                    url,
                    output,
                    on_progress=watch,
                    item=item,
                    items=len(pairs),
                    following=following.get(item),
                    on_begin=partial(_begins, on_begin, item, len(pairs)),
                    on_made=partial(batch.add, url, output) if batch else None,
                )
                reports.append(report)
                on_report(report, item, len(pairs))
            except VsrError as error:
                if on_failure is None:
                    raise
                on_failure(url, error)
    return reports


def _begins(on_begin: Callable[[Preview, int, int], None], item: int, items: int, found: Preview) -> None:
    on_begin(found, item, items)


def preview_many(
    config: UpscaleConfig, *, on_failure: Callable[[str, VsrError], None] | None = None
) -> list[Preview]:
    """The plans of `upscale_many`, one for each input, as far as they are known before the first frame. Nothing is written.

    on_failure: gets each input that would fail; without it, the first failure is raised. Raises ConfigError.
    """
    found = []
    pairs = plan_outputs(config, make=False)
    done = _done(config, pairs)
    with UpscaleJob(config) as job, _cluster(config) as cluster:
        upscaling = Upscaling(config, job, Control(), lambda _: None, cluster)
        for url, output in pairs:
            if output in done or (config.skip_existing and is_there(output)):
                continue
            try:
                found.append(_preview(upscaling, config, url, output))
            except VsrError as error:
                if on_failure is None:
                    raise
                on_failure(url, error)
    return found


def _preview(upscaling: Upscaling, config: UpscaleConfig, url: str, output: str) -> Preview:
    """The preview of one input. The output's folder may not exist yet: a run creates it."""
    folder = Path(output).parent
    if config.output is None or not _names_folder(file_name(config.output)) or folder.exists():
        return upscaling.preview(url, output)
    above = next(path for path in folder.absolute().parents if path.exists())
    return upscaling.preview(url, output, above / Path(output).name)


def _batch(
    config: UpscaleConfig, pairs: Sequence[tuple[str, str]], said: Callable[[str], None]
) -> AbstractContextManager[Batch | None]:
    """See `open_batch`; None for a single input, and where whatever is there counts as done."""
    if len(pairs) < 2 or config.skip_existing:
        return nullcontext()
    from vsr.jobs.batch import open_batch

    return open_batch(config, pairs, said)


def _done(config: UpscaleConfig, pairs: Sequence[tuple[str, str]]) -> set[str]:
    """The outputs that an earlier run of the same inputs has made. Raises as `open_batch`."""
    if len(pairs) < 2 or config.skip_existing:
        return set()
    from vsr.jobs.batch import begun_batch

    batch = begun_batch(config, pairs)
    return {output for url, output in pairs if batch.done(url, output)}


def _cluster(config: UpscaleConfig) -> AbstractContextManager[Cluster | None]:
    if config.cluster is None:
        return nullcontext()
    from vsr.jobs.cluster import connected

    return connected(config.cluster, config.network.device, config.network.threads)


class _OfAll:
    """Adds to the progress of each input how long all will take, by the bytes of their files, as far as these are known."""

    def __init__(
        self, urls: Mapping[int, str], on_progress: OnProgress, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """urls: of the inputs that are to be made, by their numbers."""
        self._sizes = {item: _bytes(url) for item, url in urls.items()}
        self._on_progress = on_progress
        self._clock = clock
        self._began = clock()

    def __call__(self, progress: Progress) -> None:
        self._on_progress(replace(progress, eta_all_s=self._eta_s(progress)))

    def _eta_s(self, progress: Progress) -> float | None:
        total = sum(self._sizes.values())
        if not all(self._sizes.values()) or progress.share is None:
            return None
        before = sum(size for item, size in self._sizes.items() if item < progress.item)
        done = before + progress.share * self._sizes[progress.item]
        return (self._clock() - self._began) * (total - done) / done if done else None


def _bytes(url: str) -> int:
    """The bytes of a file; 0 for anything else."""
    path = Path(file_name(url))
    return path.stat().st_size if path.is_file() else 0
