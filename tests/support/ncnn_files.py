"""Networks of ncnn, written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

FP16, INT8, TABLE = 0x01306B47, 0x000D4B38, 0x00000101


def tagged(array: NDArray[Any], tag: int = 0) -> bytes:
    """An array with the word before it that says in what its numbers are."""
    data = array.astype("<f2" if tag == FP16 else "<f4").tobytes()
    return tag.to_bytes(4, "little") + data + b"\0" * (-len(data) % 4)


def plain(array: NDArray[Any]) -> bytes:
    return array.astype("<f4").tobytes()


def written(folder: Path, layers: Sequence[str], weights: Sequence[bytes] = (), name: str = "net") -> Path:
    """The .param of these lines, each one layer, with the .bin beside it."""
    blobs = {blob for line in layers for blob in line.split()[4:] if "=" not in blob}
    text = "\n".join(["7767517", f"{len(layers)} {len(blobs)}", *layers]) + "\n"
    (folder / f"{name}.param").write_text(text)
    (folder / f"{name}.bin").write_bytes(b"".join(weights))
    return folder / f"{name}.param"
