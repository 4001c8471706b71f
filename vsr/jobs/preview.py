"""What `vsr upscale` would do with an input, found out without doing it."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vsr.core.errors import VsrError
from vsr.jobs.size import enlarged
from vsr.media.outputs import default_output
from vsr.media.read.open import open_source
from vsr.media.types import SinkOptions, SourceOptions
from vsr.media.write.sink import open_sink
from vsr.models import find_model
from vsr.models.registry import Use
from vsr.upscale.upscaler import Upscaler

_OF_STDIN = "output.mkv"


@dataclass(frozen=True, slots=True)
class Preview:
    """output: the name it would get. size: (width, height) of the coded picture. warnings: what its container can't hold.
    error: why it would fail, with everything after the model left out."""

    output: str
    size: tuple[int, int]
    model: str
    backend: str = ""
    encoder: str | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)


def preview(url: str, *, video_stream: int | None = None) -> Preview:
    """What `vsr upscale URL` would do. An output is begun in a folder of its own, and thrown away.

    Raises what opening the input raises.
    """
    with open_source(url, SourceOptions(video_stream=video_stream)) as source:
        use: Use = "picture" if source.info.is_picture else "video"
        # Sizes are told even where nothing runs.
        model = find_model("auto", use=use)
        output = _OF_STDIN if url == "-" else default_output([url], model.scale)[0]
        large = enlarged(source.info, model.scale)
        size = (large.width, large.height)
        try:
            with Upscaler(use=use) as upscaler, tempfile.TemporaryDirectory(prefix="vsr-") as folder:
                sink = open_sink(str(Path(folder) / Path(output).name), SinkOptions(), source.carried, large)
                try:
                    encoder = sink.encoder
                    warnings = (*source.carried.warnings, *sink.warnings)
                finally:
                    sink.abandon()
        except VsrError as error:
            return Preview(output, size, model.id, error=str(error))
        notes = tuple(upscaler.notes)
        return Preview(output, size, upscaler.spec.id, upscaler.backend, encoder, notes, warnings)
