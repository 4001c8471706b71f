"""The configuration, progress and result of a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vsr.core.control import Control
from vsr.core.errors import VsrError
from vsr.training.data import Photo
from vsr.training.recipe import Recipe


class TrainingDivergedError(VsrError):
    """The loss or the weights are no longer finite numbers."""

    def __init__(self, message: str) -> None:
        super().__init__(
            message, hint="lower lr or clip_norm under [train]; the last checkpoint, if any, is from before"
        )


@dataclass(frozen=True)
class Progress:
    """How a training stands. `fraction` 0..1 of the schedule; `loss` is the mean of the latest chunk of steps, `loss_d` the
    discriminator's where there is one; times in seconds; `psnr` in dB by evaluation set, as last measured (empty before)."""

    step: int
    steps: int
    fraction: float
    loss: float
    lr: float
    steps_per_s: float
    seconds: float
    seconds_left: float
    psnr: Mapping[str, float]
    loss_d: float | None = None


@dataclass(frozen=True)
class TrainConfig:
    """One training.

    `data` and `val` are folders of pictures; `photos` may hold those of `data` already decoded. `out` gets
    weights.safetensors, train.csv, train.json, with `val` also train.png, and, in `checkpoints` if given,
    checkpoint.safetensors. `init`: weights of the same network to start from, which a recipe with `[gan]` needs: a file, a
    folder with one, or the name of a model; the recipe "finetune" takes a checkpoint of a network of the community.
    `continued`: `init` was packed from an unfinished training by this recipe
    (scripts/pack_training.py), whose schedule goes on; the optimizer starts without state, so the learning rate rises again.
    `vgg`: weights of VGG-19 to compare pictures by in such a training, instead of the
    discriminator's features. With `time_limit_s` the schedule ends by the clock if the steps take longer, all resumed parts
    together; `stop_after_s` leaves the training unfinished, to be resumed. `on_progress` is called about every CHUNK steps,
    `on_message` with a line now and then, `on_warning` (or `on_message` again) with one that must be seen; `control`
    ends it between two steps: stopped, with a checkpoint, to be resumed; cancelled, with Cancelled, and the last checkpoint
    stays as it is.
    """

    recipe: Recipe
    data: Sequence[Path]
    out: Path
    val: Sequence[Path] = ()
    device: str = "auto"
    resume: bool = False
    init: Path | None = None
    continued: bool = False
    vgg: Path | None = None
    time_limit_s: float | None = None
    stop_after_s: float | None = None
    checkpoints: Path | None = None
    command: str = ""
    photos: Sequence[Photo] | None = None
    on_progress: Callable[[Progress], None] = field(default=lambda progress: None)
    on_message: Callable[[str], None] = field(default=lambda message: None)
    on_warning: Callable[[str], None] | None = None
    control: Control = field(default_factory=Control)


@dataclass(frozen=True)
class TrainResult:
    """The result of a training. `finished` is False if it stopped early and can be resumed; `psnr` in dB by evaluation set."""

    weights: Path
    steps: int
    seconds: float
    finished: bool
    psnr: Mapping[str, float]
