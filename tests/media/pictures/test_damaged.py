"""Animations that are damaged: what decodes comes, with a warning, and `strict` refuses them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from vsr.core.errors import DecodeError
from vsr.media.read.images import is_animation
from vsr.media.read.open import open_source
from vsr.media.types import SourceOptions

KINDS = ("apng", "gif", *(("avif",) if features.check("avif") else ()))


def animation(path: Path, pictures: int = 6) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (pictures, 24, 32, 3)).astype(np.uint8)
    first, *rest = map(Image.fromarray, noise)
    kind = "PNG" if path.suffix == ".apng" else path.suffix[1:].upper()
    first.save(path, kind, save_all=True, append_images=rest, duration=100)
    return path.read_bytes()


def frames_of(path: Path, *, strict: bool = False) -> tuple[int, list[str], int]:
    """How many frames come, the warnings, and how many packets were skipped."""
    with open_source(str(path), SourceOptions(strict=strict)) as source:
        assert not source.info.is_picture
        frames = sum(1 for _ in source)
        return frames, list(source.carried.warnings), source.counters.damaged_packets


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_animation_is_no_trouble(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{kind}"
    animation(path)
    assert is_animation(path)
    assert frames_of(path, strict=True) == (6, [], 0)
    with open_source(str(path)) as source:
        assert source.carried.copied == ()


@pytest.mark.parametrize("kind", KINDS)
def test_of_one_that_is_cut_off_what_is_there_comes(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{kind}"
    data = animation(path)
    path.write_bytes(data[: len(data) * 6 // 10])
    assert is_animation(path)
    frames, warnings, skipped = frames_of(path)
    assert 1 <= frames < 6
    assert skipped or "cut off in picture 4" in warnings[0]
    with pytest.raises(DecodeError, match=r"cut off|Invalid data"):
        frames_of(path, strict=True)


@pytest.mark.parametrize("chunk", [b"fcTL", b"fdAT"])
def test_of_a_png_with_a_damaged_chunk_the_rest_comes(chunk: bytes, tmp_path: Path) -> None:
    """Pillow reads nothing of it where that is the first."""
    path = tmp_path / "x.png"
    data = bytearray(animation(tmp_path / "whole.apng"))
    data[data.index(chunk) + 4 + 25] ^= 1
    path.write_bytes(data)
    assert is_animation(path)
    frames, warnings, _ = frames_of(path)
    assert frames >= 5
    assert f"its chunk {chunk.decode()} is damaged" in warnings[0]
    with pytest.raises(DecodeError, match="is damaged"):
        frames_of(path, strict=True)


def test_a_gif_with_noise_between_its_pictures_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.gif"
    data = bytearray(animation(path))
    data[data.rindex(b"\x00!\xf9\x04") + 1] = 7  # where the last picture begins
    path.write_bytes(data)
    assert frames_of(path) == (5, ["damaged after picture 5: the part that can be decoded is used"], 0)


@pytest.mark.parametrize("kind", ["apng", "gif"])
def test_one_picture_is_no_animation(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{kind}"
    animation(path, 1)
    assert not is_animation(path)
