"""The trainer: a recipe and folders of pictures in, weights and a log out."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from vsr.core.control import Cancelled
from vsr.core.errors import ConfigError
from vsr.evaluation.datasets import LumaPair, load_sets
from vsr.files.whole import write_whole
from vsr.models.archs import architecture_of
from vsr.models.archs.temporal import PlainTemporal
from vsr.models.spec import WEIGHTS_NAME
from vsr.training import checkpoint as disk
from vsr.training.adversary import Adversary
from vsr.training.checks import (
    affordable,
    check,
    check_existing,
    check_same_features,
    check_same_recipe,
    warn_of_other_pictures,
)
from vsr.training.clips import ClipPool
from vsr.training.config import Progress, TrainConfig, TrainingDivergedError, TrainResult
from vsr.training.damaged_pool import DamagedPool
from vsr.training.data import PatchPool, load_photos
from vsr.training.init_weights import begin_with, suited
from vsr.training.memory import keep_freed_memory
from vsr.training.output_folder import held
from vsr.training.perceptual import VggFeatures
from vsr.training.progress_plot import picture_of
from vsr.training.schedule import chunk_rates, fraction_done
from vsr.training.step import CHUNK, TrainStep, compute_dtype, device_lock, own_stream, pick_device
from vsr.training.validation import Clip, load_clips, psnr_by_set, psnr_of_clips, upscaled_luma
from vsr.training.workers import Workers, joined

# With a loss below this for so many chunks in a row, the discriminator has won. The loss is 1.39 if it only guesses, and 0 if
# it is never deceived.
DISCRIMINATOR_WON = 0.05
WON_CHUNKS = 5

__all__ = ["Progress", "TrainConfig", "TrainResult", "TrainingDivergedError", "train"]


def train(config: TrainConfig) -> TrainResult:
    """Train as `config` says.

    Without a time limit, on the CPU and with the same number of threads, the same recipe and pictures give the same
    weights, resumed or not. Raises ConfigError for settings that cannot work, SourceOpenError and DecodeError for
    pictures that can't be read, WeightsError for a checkpoint that doesn't fit, TrainingDivergedError; Cancelled where it
    was stopped before its first step, which leaves nothing.
    """
    config = replace(config, recipe=suited(config))
    check(config)
    device = pick_device(config.device)
    if device.type == "cpu":
        keep_freed_memory()
    with own_stream(device), joined(device) as workers:
        if workers.rank:  # Only the first process prints and writes.
            config = replace(
                config,
                on_progress=lambda progress: None,
                on_message=lambda message: None,
                on_warning=None,
            )
            return _Training(config, device, workers).run()
        with held(config.out, config.checkpoints or config.out):
            return _Training(config, device, workers).run()


SAVE_EVERY_S = 300.0
"""A checkpoint is written at least so often, however many steps that are."""


class _Losses(NamedTuple):
    """Means over some steps; the discriminator's is 0 where there is none."""

    network: float
    discriminator: float


class _Training:
    def __init__(self, config: TrainConfig, device: torch.device, workers: Workers) -> None:
        self.config, self.recipe, self.device, self.workers = config, config.recipe, device, workers
        self.architecture = architecture_of(self.recipe.arch)
        self.checkpoint = (config.checkpoints or config.out) / disk.CHECKPOINT
        check_existing(config, self.checkpoint)
        self.step, self.since, self.seconds_before, self.step_s = 0, 0, 0.0, 0.0
        # The last measured PSNR, and the step after which it was measured.
        self.psnr: dict[str, float] = {}
        self.measured = 0
        self.rows: list[dict[str, Any]] = []
        self.won, self.note = 0, ""
        self.warn = config.on_warning or config.on_message
        with device_lock:
            self._make_network()  # Made before the pictures are read: refusing a wrong --init is quicker than reading.
            self.clips = self._load_clips()
            self.sets: dict[str, list[LumaPair]] = load_sets(
                [folder for folder in config.val if folder.resolve().name not in self.clips],
                self.recipe.scale,
            )
            self.pool = self._make_pool()
            kind = "sequences" if isinstance(self.pool, ClipPool) else "pictures"
            config.on_message(f"{self.pool.count} {kind}, {self.pool.megapixels:.0f} megapixels")
            self.stepper = self._make_stepper()
            if config.resume:
                self._load()
            if device.type == "cuda":
                self.stepper.capture(config.on_message)
        self.started = self.saved = time.monotonic()

    def run(self) -> TrainResult:
        recipe, workers = self.recipe.train, self.workers
        losses: list[_Losses] = []
        pending: _Mark | None = None
        while self._fraction() < 1.0 and not self._paused():
            first, began = self.step, time.monotonic()
            with affordable(self._batch):
                mark = self._run_chunk()
            # The host stays one chunk ahead of a CUDA device, which then never waits for it.
            ended = pending if self.device.type == "cuda" else mark
            pending = mark
            if ended is not None:
                losses.append(self._loss_of(ended))
            took = workers.first(time.monotonic() - began, self.device)
            self.step_s = _smoothed(self.step_s, took / (self.step - first))
            if losses:
                self._report(losses[-1])
                self._watch(losses[-1])
            due = self.step // recipe.val_every > first // recipe.val_every
            if due and self._fraction() < 1.0:
                self._keep(losses, mark, finished=False)
                losses = []
            elif workers.first(time.monotonic() - self.saved, self.device) > SAVE_EVERY_S:
                with device_lock:
                    self._save(mark, self._seconds(), finished=False)
        finished = self._fraction() >= 1.0
        if not self.step:  # Weights that learnt nothing must not pass for trained ones.
            if finished:
                raise ConfigError("the time limit was over before the first step", hint="give it more time")
            raise Cancelled
        self._keep(losses, pending, finished=finished)
        return TrainResult(self.config.out / WEIGHTS_NAME, self.step, self._seconds(), finished, self._psnr)

    def _make_network(self) -> None:
        dtype = compute_dtype(self.recipe.train.precision, self.device)
        # Weights are drawn on the CPU for every device, without touching the caller's random state.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.recipe.train.seed)
            arch = ", ".join(f"{key} = {value}" for key, value in self.recipe.as_dict()["arch"].items())
            with affordable(f"[arch] {arch}"):
                self.network = self.architecture.load(self.architecture.trainable)(self.recipe.spec, dtype)
            self.adversary = self._make_adversary()
        if self.recipe.train.rounded:
            self.network.rounded = True
        if self.config.init is not None and not self.config.resume:
            begin_with(self.network, self.config.init, self.recipe)
            if self.config.continued:
                self._stand(self.config.init, disk.load_tensors(self.config.init)[1])
                self.since = self.step

    def _load_clips(self) -> dict[str, list[Clip]]:
        if self.recipe.data.frames == 1:
            return {}
        return load_clips(self.config.val, self.recipe.scale, self.recipe.spec.size_multiple)

    def _make_pool(self) -> PatchPool | DamagedPool | ClipPool:
        config = self.config
        if self.recipe.data.frames > 1:
            return ClipPool(config.data, self.recipe, self.device, config.control)
        damaged = self.recipe.damaged
        in_colour = damaged or self.recipe.rgb
        photos = config.photos if config.photos is not None else load_photos(config.data, rgb=in_colour)
        if damaged:
            return DamagedPool(photos, self.recipe, self.device)
        return PatchPool(photos, self.recipe, self.device, config.on_message, config.control)

    def _make_stepper(self) -> TrainStep:
        network, recipe = self.network.to(self.device), self.recipe
        with affordable(self._batch):
            return TrainStep(
                network, self.pool, recipe.train, recipe.data.batch, self.adversary, self.workers
            )

    def _make_adversary(self) -> Adversary | None:
        gan, vgg = self.recipe.gan, self.config.vgg
        if gan is None:
            return None
        if self._perceptual:
            why = "" if vgg else " (no VGG-19 weights were given)"
            self.config.on_message(f"perceptual loss: {self._perceptual}{why}")
        features = VggFeatures(vgg) if vgg else None
        with affordable(f"[gan] channels = {gan.channels}"):
            dtype = compute_dtype(self.recipe.train.precision, self.device)
            return Adversary(gan, self.device, self.workers, features, dtype)

    @property
    def _perceptual(self) -> str:
        """The network whose features pictures are compared by, in words; empty if they are not compared by features."""
        if not (self.recipe.gan and self.recipe.gan.features):
            return ""
        return "VGG-19's features" if self.config.vgg else "the discriminator's features"

    @property
    def _batch(self) -> str:
        """The values that a step's memory depends on, in words."""
        return f"[data] batch = {self.recipe.data.batch}, patch = {self.recipe.data.patch}"

    @property
    def _psnr(self) -> dict[str, float]:
        """The PSNR of the current weights, empty if it was not measured."""
        return self.psnr if self.measured == self.step else {}

    def _seconds(self) -> float:
        """Spent on this training, resumed parts together."""
        return self.workers.first(self.seconds_before + time.monotonic() - self.started, self.device)

    def _fraction(self) -> float:
        return fraction_done(self.step, self.recipe.train.steps, self._seconds(), self.config.time_limit_s)

    def _paused(self) -> bool:
        limit, control = self.config.stop_after_s, self.config.control
        control.check()
        stop = control.stopped or (limit is not None and time.monotonic() - self.started >= limit)
        return bool(self.workers.first(stop, self.device))

    def _run_chunk(self) -> _Mark:
        """Run the steps up to the next multiple of CHUNK, or on the CPU until it is time to stop."""
        recipe = self.recipe.train
        chunk, offset = divmod(self.step, CHUNK)
        count = min(CHUNK - offset, recipe.steps - self.step)
        # Patches depend on the seed and the chunk alone, so a resumed training needs no random state.
        rng = np.random.default_rng([recipe.seed, chunk])
        rates = np.zeros((CHUNK, 2), dtype=np.float32)
        rates[offset : offset + count] = chunk_rates(
            recipe, self.step, count, self._seconds(), self.step_s, self.config.time_limit_s, self.since
        )
        self.stepper.load_chunk(rng, rates, offset)
        ran = 0
        while ran < count:
            if self.config.time_limit_s and self.device.type == "cpu" and ran:
                # A chunk takes many seconds here: the rates follow the clock step by step.
                now = chunk_rates(
                    recipe, self.step, 1, self._seconds(), self.step_s, self.config.time_limit_s, self.since
                )
                rates[offset + ran] = now[0]
                self.stepper.load_rates(rates)
            self.stepper.run()
            ran += 1
            self.step += 1
            if self.device.type == "cpu" and (self._fraction() >= 1.0 or self._paused()):
                break
        self.lr = float(rates[offset + ran - 1, 0])
        event = None
        loss_sum = self.stepper.loss_sum()
        if self.device.type == "cuda":
            event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            event.record()
        return _Mark(loss_sum, ran, event)

    def _loss_of(self, mark: _Mark) -> _Losses:
        if mark.event is not None:
            mark.event.synchronize()
        losses = _Losses(*(float(value) / mark.count for value in mark.loss_sum))
        if not all(math.isfinite(loss) for loss in losses):
            raise TrainingDivergedError(f"the loss became {losses.network} about step {self.step}")
        return losses

    def _watch(self, losses: _Losses) -> None:
        """Say once when the adversary has won, and note it in the log."""
        self.won = self.won + 1 if self.adversary and losses.discriminator < DISCRIMINATOR_WON else 0
        if self.won == WON_CHUNKS:
            self.note = f"collapse at step {self.step}"
            self.warn(
                f"collapse: the discriminator recognizes every picture (its loss is {losses.discriminator:.3f}), so the "
                "network learns nothing from it; lower lr under [gan], or start from weights trained for longer"
            )

    def _report(self, losses: _Losses) -> None:
        fraction, steps, limit = self._fraction(), self.recipe.train.steps, self.config.time_limit_s
        left = (steps - self.step) * self.step_s
        if limit:
            left = min(left, limit - self._seconds())
        rate = 1.0 / self.step_s if self.step_s else 0.0
        self.config.on_progress(
            Progress(
                self.step,
                steps,
                fraction,
                losses.network,
                self.lr,
                rate,
                self._seconds(),
                max(left, 0.0),
                self.psnr,
                losses.discriminator if self.adversary else None,
            )
        )

    def _keep(self, losses: Sequence[_Losses], last: _Mark | None, *, finished: bool) -> None:
        """Log, write everything, from where the training can be resumed, and measure."""
        with device_lock:
            seconds = self._seconds()
            if last is not None:
                mean = _Losses(*np.mean(losses, axis=0).tolist()) if losses else self._loss_of(last)
                row: dict[str, Any] = {"step": self.step, "loss": mean.network, "lr": self.lr}
                row["seconds"] = round(seconds, 2)
                if self.adversary:
                    row["loss_d"] = mean.discriminator
                if self.note:
                    row["note"], self.note = self.note, ""
                self.rows.append(row)
            # Save first, so that the weights are on disk whatever goes wrong in the measurement.
            weights = self._save(last, seconds, finished=finished)
            if not self.workers.rank and last is not None and (self.sets or self.clips):
                network = self._measure(weights)
                self._write(weights, seconds, finished)
                self._draw(network)
        if last is not None:
            self._report(mean)

    def _save(self, last: _Mark | None, seconds: float, *, finished: bool) -> dict[str, torch.Tensor]:
        """Write everything from where the training can be resumed. Gives the weights."""
        if last is not None:
            self._loss_of(last)  # A network that diverged must not replace the last good one.
        weights = self._folded()
        if not self.workers.rank:
            self._write(weights, seconds, finished)
        self.saved = time.monotonic()
        return weights

    def _measure(self, weights: dict[str, torch.Tensor]) -> torch.nn.Module:
        """PSNR into the latest row. Gives the network that was measured."""
        network: torch.nn.Module = self.architecture.load(self.architecture.plain)(self.recipe.spec)
        network.load_state_dict(weights)
        network.to(self.device).eval()
        self.psnr = psnr_by_set(network, self.sets, self.recipe.scale, self.recipe.spec.size_multiple)
        if isinstance(network, PlainTemporal):
            self.psnr |= psnr_of_clips(network, self.clips)
        self.measured = self.step
        self.rows[-1] |= {f"psnr_{name}": round(value, 4) for name, value in self.psnr.items()}
        return network

    def _draw(self, network: torch.nn.Module) -> None:
        """All rows into a picture."""
        scale, unit = self.recipe.scale, self.recipe.spec.size_multiple
        upscale = partial(upscaled_luma, network, scale=scale, size_multiple=unit)
        write_whole(self.config.out / disk.PICTURE, picture_of(self.rows, self.sets, upscale, scale))

    def _folded(self) -> dict[str, torch.Tensor]:
        averaged = self.architecture.load(self.architecture.trainable)(self.recipe.spec)
        averaged.load_state_dict(self.stepper.averaged_weights())
        folded: dict[str, torch.Tensor] = averaged.fold()
        for name, weights in folded.items():
            if not bool(torch.isfinite(weights).all()):  # The loss is from before the last update.
                raise TrainingDivergedError(f"{name} is no longer finite about step {self.step}")
        return folded

    def _write(self, weights: dict[str, torch.Tensor], seconds: float, finished: bool) -> None:
        out, recipe = self.config.out, self.recipe.as_dict()
        facts: dict[str, Any] = {
            "arch": self.recipe.arch,
            "hyperparameters": {
                "scale": self.recipe.scale,
                **{k: v for k, v in recipe["arch"].items() if k != "name"},
            },
            "recipe": recipe,
            "seed": self.recipe.train.seed,
            "steps": self.step,
            "seconds": round(seconds, 1),
            "finished": finished,
            "psnr": {name: round(value, 4) for name, value in self._psnr.items()},
            "command": disk.printable(self.config.command),
            "hardware": disk.hardware(self.device),
            "pictures": self.pool.count,
            "megapixels": round(self.pool.megapixels, 1),
        }
        disk.save_tensors(out / WEIGHTS_NAME, weights, facts)
        state = {
            "recipe": recipe,
            "step": self.step,
            "seconds": seconds,
            "step_s": self.step_s,
            "rows": self.rows,
            "since": self.since,
            "perceptual": self._perceptual,
        }
        disk.save_tensors(self.checkpoint, self.stepper.state, state)
        write_whole(out / disk.LOG_CSV, disk.csv_from_rows(self.rows))
        write_whole(out / disk.LOG_JSON, (json.dumps(facts | {"log": self.rows}, indent=1) + "\n").encode())

    def _load(self) -> None:
        tensors, facts = disk.load_tensors(self.checkpoint)
        self._stand(self.checkpoint, facts)
        check_same_features(facts.get("perceptual"), self._perceptual, self.checkpoint)
        warn_of_other_pictures(self.config.out, self.pool.count, self.warn)
        self.stepper.load_state(tensors)

    def _stand(self, path: Path, facts: Mapping[str, str]) -> None:
        """Go on from where the metadata `facts` of the file at `path` say that the training stood."""
        told = disk.standing(path, facts)
        check_same_recipe(told.recipe, self.recipe, path)
        self.step, self.since, self.rows = told.step, told.since, told.rows
        self.seconds_before, self.step_s = told.seconds, told.step_s
        if self.rows:
            last = self.rows[-1]
            self.psnr = {key[len("psnr_") :]: value for key, value in last.items() if key.startswith("psnr_")}
            self.measured = last["step"]


@dataclass(frozen=True)
class _Mark:
    """The end of a chunk of `count` steps: its summed losses [2], which on CUDA is there once `event` has come to pass."""

    loss_sum: torch.Tensor
    count: int
    event: torch.cuda.Event | None


def _smoothed(old: float, new: float) -> float:
    return new if not old else 0.9 * old + 0.1 * new
