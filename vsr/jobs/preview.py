"""The plan of `vsr upscale` for an input, without doing the work."""

from __future__ import annotations

from vsr.core.errors import VsrError
from vsr.jobs.config import UpscaleConfig
from vsr.jobs.outlook import Preview
from vsr.jobs.size import enlarged
from vsr.jobs.upscale import UpscaleJob
from vsr.media.outputs import default_output
from vsr.media.read.open import open_source
from vsr.media.types import SinkOptions, SourceOptions
from vsr.models import find_model

_OF_STDIN = "output.mkv"


def preview(url: str, *, video_stream: int | None = None) -> Preview:
    """The plan of `vsr upscale URL`, whether or not its output exists. Raises the errors of opening the input."""
    source_options = SourceOptions(video_stream=video_stream)
    with open_source(url, source_options) as source:
        info, name = source.info, source.carried.name
        # Sizes are reported even if no backend works.
        model = find_model("auto", use="picture" if info.is_picture else "video")
    output = _OF_STDIN if url == "-" else default_output([url], model.scale)[0]
    large = enlarged(info, model.scale)
    config = UpscaleConfig((url,), output, source=source_options, sink=SinkOptions(overwrite=True))
    try:
        with UpscaleJob(config) as job:
            return job.preview(url, output)
    except VsrError as error:
        sizes = (info.width, info.height), (large.width, large.height)
        return Preview(name, output, *sizes, model.id, error=str(error))
