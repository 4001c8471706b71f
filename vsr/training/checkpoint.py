"""The files of a training, always complete: a checkpoint to resume from, the weights, and the log."""

from __future__ import annotations

import csv
import io
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from vsr.core.errors import WeightsError, reason
from vsr.files.whole import write_whole

CHECKPOINT = "checkpoint.safetensors"
LOG_CSV, LOG_JSON, PICTURE = "train.csv", "train.json", "train.png"


class Standing(NamedTuple):
    """How far a training had come, of the metadata of its checkpoint: the recipe as plain values, steps, seconds spent, the
    seconds a step takes, the rows of its log, and the step at which the optimizer last started without state."""

    recipe: dict[str, Any]
    step: int
    seconds: float
    step_s: float
    rows: list[dict[str, Any]]
    since: int


def standing(path: Path, facts: Mapping[str, str]) -> Standing:
    """The values in the metadata `facts` of the checkpoint at `path`. Raises WeightsError if they are not from a training."""
    facts = {"since": "0", **facts}  # Older checkpoints lack it.
    try:
        told = Standing(*(json.loads(facts[name]) for name in Standing._fields))
    except (KeyError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path} is not a checkpoint of a training: {error}") from error
    fine = {
        "recipe": isinstance(told.recipe, dict),
        "step": _is_step(told.step),
        "seconds": _is_number(told.seconds) and told.seconds >= 0,
        "step_s": _is_number(told.step_s) and told.step_s >= 0,
        "since": _is_step(told.since) and told.since <= told.step,
        "rows": isinstance(told.rows, list) and all(map(_is_row, told.rows)),
    }
    if wrong := [name for name, is_fine in fine.items() if not is_fine]:
        raise WeightsError(f"{path} is not a checkpoint of a training: its {wrong[0]} cannot be")
    return told


def _is_step(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _is_row(row: Any) -> bool:
    figures = isinstance(row, dict) and all(_is_number(value) for key, value in row.items() if key != "note")
    return figures and _is_step(row.get("step"))


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write a safetensors file; each metadata value that isn't a string is stored as JSON."""
    plain = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    texts = {
        key: printable(value) if isinstance(value, str) else json.dumps(value)
        for key, value in metadata.items()
    }
    write_whole(path, safetensors.torch.save(plain, texts))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Arrays on the CPU and metadata of a safetensors file. Raises WeightsError when it is missing or damaged."""
    try:
        data = path.read_bytes()  # Not by safetensors: it opens no path that is not UTF-8.
        tensors = safetensors.torch.load(data)
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {reason(error)}") from error
    except safetensors.SafetensorError as error:
        raise WeightsError(f"cannot read {path}: {reason(error)}") from error
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return tensors, dict(header.get("__metadata__", {}))


def csv_from_rows(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows as CSV; the columns are all that occur, in order of appearance, and a missing value is empty."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return printable(text.getvalue()).encode()


def printable(text: str) -> str:
    """`text` with a question mark for each byte of a file's name that is no character, which no encoding would take."""
    return text.encode(errors="replace").decode()


def hardware(device: torch.device) -> str:
    """The hardware of a training, in words."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    threads = torch.get_num_threads()
    plural = "s" if threads > 1 else ""
    return f"{_processor()}, {threads} thread{plural}, torch {torch.__version__}"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
