"""`auto` looks at the input, and says what it takes and why."""

from __future__ import annotations

import io
import subprocess
import sys
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import get_args

import av
import numpy as np
import pytest
from PIL import Image

import vsr
from tests.support import clips
from tests.support.processes import PATIENCE_S
from vsr.core.look import Look
from vsr.media.read.look import look
from vsr.media.read.open import open_source
from vsr.media.samples import CLIP
from vsr.media.types import SourceOptions
from vsr.models.auto import Use, rule_for, suited

SIZE = (192, 112)


def frames(count: int) -> list[av.VideoFrame]:
    """Frames of the clip that comes with vsr, small and clean."""
    with av.open(str(CLIP)) as container:
        return [frame.reformat(*SIZE, "rgb24") for frame in islice(container.decode(video=0), count)]


def picture(path: Path, sigma: float = 0.0, **options: int) -> Path:
    pixels = frames(1)[0].to_ndarray() + np.random.default_rng(1).normal(0, sigma, (SIZE[1], SIZE[0], 3))
    Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8)).save(path, **options)
    return path


def clip(name: str, crf: int, pix_fmt: str = "yuv420p") -> Path:
    def write(path: Path) -> None:
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"crf": str(crf), "preset": "veryfast"})
            stream.width, stream.height, stream.pix_fmt = *SIZE, pix_fmt
            for number, rgb in enumerate(frames(8)):
                frame = rgb.reformat(format=pix_fmt)
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())

    return clips.made(name, ("looks", crf, pix_fmt), write)


def why(report: vsr.Report) -> str:
    return next(note for note in report.notes if note.startswith("model "))


@pytest.mark.parametrize(
    ("name", "sigma", "quality", "model", "said"),
    [
        ("clean.png", 0, 0, "quality-x2", "for pictures"),
        ("good.jpg", 0, 95, "quality-x2", "for pictures"),
        ("hard.jpg", 0, 55, "restore-x2", "compressed"),
        ("strong.png", 16, 0, "restore-x2", "has noise"),
    ],
)
def test_a_picture_gets_the_family_that_suits_it(
    name: str, sigma: float, quality: int, model: str, said: str, tmp_path: Path
) -> None:
    options = {"quality": quality} if quality else {}
    source = picture(tmp_path / name, sigma, **options)
    report = vsr.upscale_file(str(source), str(tmp_path / "out.png"), backend="openvino")
    assert report.model == model
    assert said in why(report)
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == (2 * SIZE[0], 2 * SIZE[1])


def test_a_jpeg_that_was_saved_as_png_is_known_too(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.open(picture(tmp_path / "clean.png")).save(file, "JPEG", quality=55)
    Image.open(file).save(tmp_path / "was.png")
    assert (
        vsr.upscale_file(str(tmp_path / "was.png"), str(tmp_path / "out.png"), backend="openvino").model
        == "restore-x2"
    )


def test_each_of_several_inputs_is_looked_at_also_the_one_that_is_opened_ahead(tmp_path: Path) -> None:
    inputs = (picture(tmp_path / "a.png"), picture(tmp_path / "b.png", 16), picture(tmp_path / "c.png"))
    config = vsr.UpscaleConfig(
        inputs=tuple(map(str, inputs)),
        output=f"{tmp_path}/out/",
        network=vsr.NetworkOptions(backend="openvino"),
    )
    reports = vsr.upscale_many(config)
    assert [report.model for report in reports] == ["quality-x2", "restore-x2", "quality-x2"]
    assert [report.frames_out for report in reports] == [1, 1, 1]


@pytest.mark.parametrize(("crf", "model"), [(16, "balanced-x2"), (30, "restore-x2"), (44, "restore-x2")])
def test_a_video_goes_by_its_quantizer_in_one_pass_in_segments_and_from_a_pipe(
    crf: int, model: str, tmp_path: Path
) -> None:
    source = clip(f"crf{crf}.mkv", crf)
    for name, options in (("pass.mkv", {}), ("parts.mkv", {"segment": 0.1})):
        report = vsr.upscale_file(
            str(source),
            str(tmp_path / name),
            backend="openvino",
            preset="ultrafast",
            temporal="off",
            **options,
        )
        assert (report.model, report.frames_out) == (model, 8)
        assert report.backend == "openvino"
    found = vsr.probe(str(source)).look
    # ITU-T H.264: the step is 16 at QP 28, and doubles every 6. The encoder varies QP by some.
    assert found.quantizer == pytest.approx(2 ** ((crf - 4) / 6), rel=0.7)


def test_the_step_of_h264_is_in_codes_of_8_bits_whatever_the_depth() -> None:
    steps = [
        vsr.probe(str(clip(f"{pix_fmt}.mkv", 20, pix_fmt))).look.quantizer
        for pix_fmt in ("yuv420p", "yuv420p10le")
    ]
    assert steps[1] == pytest.approx(steps[0], rel=0.1)


def test_a_duration_beyond_the_end_changes_no_look() -> None:
    url = str(clips.h264("looked.mp4", source="testsrc2=size=160x120:rate=25:duration=2"))

    def seen(options: SourceOptions) -> Look:
        with open_source(url, options) as source:
            return look(url, options, source)

    assert seen(SourceOptions(duration_s=1000)) == seen(SourceOptions())


def test_a_pipe_is_looked_at_and_nothing_of_it_is_lost(tmp_path: Path) -> None:
    noisy = picture(tmp_path / "noise.png", 16).read_bytes()
    command = [
        sys.executable,
        "-m",
        "vsr",
        "upscale",
        "-",
        str(tmp_path / "out.mkv"),
        "--backend",
        "openvino",
    ]
    made = subprocess.run(
        command,
        input=noisy,
        capture_output=True,
        timeout=PATIENCE_S,
        check=True,
        cwd=Path(vsr.__file__).parents[1],
    )
    assert b"has noise" in made.stdout + made.stderr
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert len(list(container.decode(video=0))) == 1


@pytest.mark.parametrize(
    ("look", "use", "family"),
    [
        (Look(), "picture", None),
        (Look(noise=2.8), "video", "restore"),
        (Look(noise=12.0), "video", "restore"),
        (Look(quantizer=8.0), "picture", "restore"),
        (Look(quantizer=8.0), "video", None),
        (Look(quantizer=20.0), "picture", "restore"),
        (Look(quantizer=20.0), "video", "restore"),
        (Look(quantizer=50.0), "video", "restore"),
        (Look(combing=0.3, quantizer=20.0), "video", "bicubic"),
        (Look(combing=0.3), "picture", None),
    ],
)
def test_the_first_rule_that_fits_counts(look: Look, use: Use, family: str | None) -> None:
    rule = rule_for(look, use)
    assert (rule.family if rule else None) == family


def test_anime_is_to_be_tried_on_what_looks_drawn() -> None:
    for use in get_args(Use):
        assert "anime" in suited(use, None, drawn=True)
        assert "anime" not in suited(use, None)


def test_a_network_that_is_named_is_taken_whatever_the_input(tmp_path: Path) -> None:
    report = vsr.upscale_file(
        str(picture(tmp_path / "in.png", 16)), str(tmp_path / "out.png"), model="bicubic"
    )
    assert (report.model, report.notes) == ("bicubic-x2", ())
