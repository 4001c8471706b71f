"""Measures a model, run as by `vsr upscale`, against originals: it enlarges the reduced originals.

Pictures are measured on Y (BT.601, as papers do) and on RGB; videos on Y, with figures for what changes from frame to frame.
Originals are reduced by MATLAB's bicubic, antialiased and rounded to 8 bits. At each border, as many pixels as the scale are
left out. PSNR is at most 100 dB, the value for equal pictures.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vsr.core.errors import ConfigError, SourceOpenError
from vsr.core.frame import Frame, PixelFormat, Reset
from vsr.evaluation import metrics
from vsr.evaluation.clip_figures import RESET, ClipFigures, warping_note
from vsr.evaluation.datasets import (
    PICTURE_SUFFIXES,
    LumaPair,
    luma8,
    luma_pair,
    read_rgb,
    sets_of,
)
from vsr.evaluation.figures import Figures, mean_of, on_rgb, on_y
from vsr.evaluation.names import printable
from vsr.evaluation.perceptual import Perceptual
from vsr.evaluation.resize import resize_bicubic
from vsr.media.frames.vmaf import Vmaf, check_vmaf, vmaf
from vsr.media.inputs import VIDEO_SUFFIXES, files_below
from vsr.media.outputs import check_outputs
from vsr.media.read.open import open_source
from vsr.media.types import SourceOptions
from vsr.upscale.options import NetworkOptions
from vsr.upscale.pool import UpscalerPool
from vsr.upscale.upscaler import Upscaler

Picture = npt.NDArray[np.uint8]

DEGRADATION = "bicubic (MATLAB's, antialiased), 8 bits"


@dataclass(frozen=True, slots=True)
class EvaluateConfig:
    """One call of `vsr evaluate`.

    data: folders of pictures, of videos, or of such folders. network: its scale must be one that the model reaches exactly.
    frames: most frames of each video. report: path of the caller's report, which must not be a measured file. vmaf: measure
    VMAF and VMAF-NEG too. lpips, dists: measure them on RGB of pictures too. Raises ConfigError.
    """

    data: tuple[Path, ...]
    network: NetworkOptions = field(default_factory=NetworkOptions)
    frames: int = 60
    report: Path | None = None
    vmaf: bool = False
    lpips: bool = False
    dists: bool = False

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise ConfigError(f"{self.frames} frames are out of range", hint="give 1 or more")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures by set, then by picture or video, then by name, and their means by set.

    psnr_y in dB, ssim_y from -1 to 1, mse_y and mae_y in 8-bit codes; pictures have the same figures on RGB. lpips and dists of
    pictures, if asked for: 0 for equal ones. vmaf and vmaf_neg, if asked for: 0 to 100, of all frames. All other figures of
    videos are of the fifth frame and later ones, where a memory is filled; of all, if a video has fewer. flicker_psnr, of
    videos: PSNR in dB of the changes from frame to frame against those of the original. warping: mean absolute difference of a
    result from the one before, moved as the original moves, in codes of Y; left out without torch, with a note. Of a network
    with memory, psnr_y_reset, flicker_psnr_reset and warping_reset are the same without it: reset at each frame.
    models: by set, because `auto` chooses different models for pictures and for videos; `model` then names all. notes: how the
    model and the backend were chosen, and pictures that were left out.
    """

    model: str
    backend: str
    device: str
    precision: str
    scale: int
    border: int
    degradation: str
    sets: Mapping[str, Mapping[str, Figures]]
    means: Mapping[str, Figures]
    models: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)


def evaluate(config: EvaluateConfig, say: Callable[[str], None] | None = None) -> Evaluation:
    """Measure a model. say: gets the name of each picture and video before it is measured.

    Pictures too small for SSIM are left out, with a note. Raises SourceOpenError if nothing is left, DecodeError for unreadable
    files, ConfigError for a scale that the model cannot reach and for a report that would replace an input,
    MissingDependencyError for VMAF where no FFmpeg has it and for LPIPS and DISTS without their weights, and the errors of
    `Upscaler`.
    """
    if config.vmaf:
        check_vmaf()
    perceptual = Perceptual(lpips=config.lpips, dists=config.dists)
    sets: dict[str, dict[str, Figures]] = {}
    models: dict[str, dict[str, None]] = {}
    left_out: list[str] = []
    found = sets_of(config.data, _files)
    check_outputs([str(path) for files in found.values() for path in files.values()], [], config.report)
    used: dict[Upscaler, None] = {}
    with UpscalerPool() as pool:
        for name, files in found.items():
            for item, path in files.items():
                if say is not None:
                    say(f"{name}: {printable(path.name)}")
                is_picture = path.suffix.lower() in PICTURE_SUFFIXES
                if not is_picture and (note := warping_note()):
                    left_out.append(note)
                upscaler = pool.upscaler(config.network, "picture" if is_picture else "video")
                config.network.check_reached(upscaler.spec, upscaler.scale)
                figures = (
                    _picture(path, upscaler, config.vmaf, perceptual)
                    if is_picture
                    else _video(path, upscaler, config.frames, config.vmaf)
                )
                if figures:
                    sets.setdefault(name, {})[item] = figures
                    models.setdefault(name, {})[upscaler.spec.id] = None
                    used[upscaler] = None
                else:
                    left_out.append(f"{printable(path)} is left out: {_too_small(upscaler.scale)}")
        if not sets:
            raise SourceOpenError(f"nothing can be measured: {left_out[-1]}", hint="name larger pictures")
        first = next(iter(used))
        return Evaluation(
            model=", ".join(dict.fromkeys(upscaler.spec.id for upscaler in used)),
            backend=first.backend,
            device=first.device,
            precision=", ".join(dict.fromkeys(upscaler.precision for upscaler in used)),
            scale=first.scale,
            border=first.scale,
            degradation=DEGRADATION,
            sets=sets,
            means={name: mean_of(list(rows.values())) for name, rows in sets.items()},
            models={name: ", ".join(ids) for name, ids in models.items()},
            notes=tuple(dict.fromkeys([*(note for upscaler in used for note in upscaler.notes), *left_out])),
        )


def _files(folder: Path) -> list[Path]:
    """Every picture and video in a folder and below."""
    paths = files_below(folder, PICTURE_SUFFIXES | VIDEO_SUFFIXES)
    if not paths:
        raise SourceOpenError(f"{folder} holds neither pictures nor videos")
    return paths


def _least_side(scale: int) -> int:
    """The least side, in pixels, that leaves room for SSIM after cropping to a multiple of the scale and cutting borders."""
    return -(-(metrics.SSIM_SIDE + 2 * scale) // scale) * scale


def _too_small(scale: int) -> str:
    least = _least_side(scale)
    return f"x{scale} is measured from {least}x{least} pixels on"


def _picture(path: Path, upscaler: Upscaler, with_vmaf: bool, perceptual: Perceptual) -> Figures:
    """No figures where it is too small."""
    scale, rgb = upscaler.scale, read_rgb(path)
    if min(rgb.shape[:2]) < _least_side(scale):
        return {}
    pair = luma_pair(path.stem, metrics.y_from_rgb(rgb), scale)
    larger = larger_luma(upscaler, pair.lr)
    figures = on_y(larger, pair.hr, scale)
    if with_vmaf:
        with vmaf(*pair.hr.shape[::-1]) as measured:
            measured.add(larger, pair.hr)
            figures |= measured.figures()
    height, width = pair.hr.shape
    original = rgb[:height, :width]
    small = np.stack([resize_bicubic(original[..., c], 1 / scale) for c in range(3)], axis=2)
    result = upscaler.upscale(small)
    return figures | on_rgb(result, original, scale) | perceptual.figures(result, original, scale)


def _video(path: Path, upscaler: Upscaler, most: int, with_vmaf: bool) -> Figures:
    """No figures where it is too small."""
    pairs: deque[LumaPair] = deque()

    def small(frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            pairs.append(luma_pair(path.stem, luma8(frame), upscaler.scale))
            yield replace(_gray_frame(pairs[-1].lr), starts=frame.starts)

    with (
        open_source(str(path), SourceOptions()) as source,
        upscaler.sequence() as sequence,
        upscaler.sequence() as forgetful,
        ExitStack() as opened,
    ):
        measured: Vmaf | None = None
        if min(source.info.width, source.info.height) < _least_side(upscaler.scale):
            return {}
        clip = ClipFigures(upscaler.scale)
        for frame in sequence.stream(small(islice(source, most))):
            pair = pairs.popleft()
            results = {"": np.asarray(frame.planes[0])}
            if upscaler.spec.states:
                [alone] = forgetful.push(replace(_gray_frame(pair.lr), starts=Reset.START))
                results[RESET] = np.asarray(alone.planes[0])
            clip.add(results, pair.hr)
            if with_vmaf:
                measured = measured or opened.enter_context(vmaf(*pair.hr.shape[::-1]))
                measured.add(results[""], pair.hr)
        return clip.figures() | (measured.figures() if measured is not None else {})


def larger_luma(upscaler: Upscaler, luma: Picture) -> Picture:
    """Luma uint8 [h, w] as a gray picture through `upscaler`: uint8 [h*scale, w*scale]."""
    return np.asarray(upscaler.upscale(_gray_frame(luma)).planes[0])


def _gray_frame(luma: Picture) -> Frame:
    return Frame([luma], luma.shape[1], luma.shape[0], PixelFormat("gray"))
