"""`vsr try`: the networks on three places of a file, on one page, in a real browser."""

from __future__ import annotations

import base64
import io
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support import clips
from tests.support.browser import browser, needs_chromium
from vsr.cli import main
from vsr.core.errors import ConfigError
from vsr.evaluation.trial import TryConfig, try_out

NETWORKS = ["bicubic-x2", "fast-x2", "balanced-x2", "anime-x2", "quality-x2"]  # The test picture looks drawn.


@pytest.fixture(scope="module")
def clip() -> Path:
    """Ten seconds, two frames a second."""
    source = "testsrc2=size=96x64:rate=2:duration=10"
    return clips.make("tried.mp4", "-c:v", "libx264", "-crf", "10", "-pix_fmt", "yuv420p", source=source)


@needs_chromium
def test_a_page_with_stills_clips_and_costs(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    assert main(["try", str(clip), "-o", str(page), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["model"] for each in found["tried"]] == NETWORKS
    assert found["seconds"] == pytest.approx([1.2, 4.0, 6.8])
    assert [each["why"] for each in found["tried"]] == ["", "", "for video without a GPU", "", ""]
    assert {"bicubic-x2", "fast-x2"} <= set(found["clips"])
    for each in found["tried"]:
        assert each["fps"] > 0
        assert each["hours"] == pytest.approx(20 / each["fps"] / 3600)
        assert (each["gigabytes"] is not None) == (each["model"] in found["clips"])
    with browser(tmp_path / "profile") as tab:
        tab.open(page.as_uri())
        asked = tab.run("return performance.getEntriesByType('resource').map(r => r.name)")
        assert [name for name in asked if not name.startswith("data:")] == []
        sizes = tab.run("return [...document.images].map(i => [i.naturalWidth, i.naturalHeight])")
        assert sizes == [[192, 128]] * 3 * len(NETWORKS)
        videos = (
            "return [...document.querySelectorAll('video')].map(v => [v.videoWidth, v.duration, v.error])"
        )
        deadline = itertools.count()
        while any(not width for width, _, _ in tab.run(videos)) and next(deadline) < 200:
            tab.run("return new Promise(done => setTimeout(done, 50))")
        assert tab.run(videos) == [[192, pytest.approx(2, abs=0.1), None]] * 3 * len(found["clips"])
        text = tab.run("return document.body.innerText")
        assert f"vsr upscale {clip} --model balanced-x2" in text
        assert "what auto takes, for video without a GPU" in text
        assert not tab.run("return document.querySelector('meta[http-equiv=refresh]')")


def test_the_page_is_there_before_the_clips_and_without_time_there_are_none(
    clip: Path, tmp_path: Path
) -> None:
    page, said = tmp_path / "page.html", []
    hours = itertools.count(0, 3600)  # a clock by which everything takes an hour
    found = try_out(TryConfig(str(clip), page), said.append, lambda: float(next(hours)))
    assert found.clips == ()
    assert "<video" not in page.read_text().partition("<script>")[0]
    assert not any("clip" in line for line in said)

    stills: list[bool] = []

    def say(line: str) -> None:
        if "clip" in line:
            stills.append("http-equiv" in page.read_text())

    try_out(TryConfig(str(clip), page, overwrite=True), say, lambda: 0.0)
    assert stills
    assert all(stills), "while clips are made, the page loads itself again"


@pytest.fixture
def light_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsr.evaluation.trial.suited", lambda _use, _rule, drawn: ("bicubic", "fast"))


@pytest.mark.usefixtures("light_networks")
def test_after_ctrl_c_the_page_waits_for_no_more_clips(clip: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"

    def say(line: str) -> None:
        if line.startswith("fast-x2: clip"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        try_out(TryConfig(str(clip), page), say, lambda: 0.0)
    text = page.read_text()
    assert "http-equiv" not in text
    assert text.count("<video") == 3, "the clips that were made are shown"


@pytest.mark.usefixtures("light_networks")
def test_a_video_that_is_cut_off_is_tried_where_it_has_frames(tmp_path: Path) -> None:
    source = "testsrc2=size=96x64:rate=5:duration=10"
    whole = clips.make("whole.mkv", "-c:v", "libx264", "-g", "5", "-crf", "10", source=source).read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole[: len(whole) // 2])
    hours = itertools.count(0, 3600)
    found = try_out(TryConfig(str(cut), tmp_path / "page.html"), clock=lambda: float(next(hours)))
    assert found.seconds == pytest.approx([1.2, 4.0], abs=0.1)


def test_a_window_of_a_large_picture_where_its_detail_is(tmp_path: Path) -> None:
    pixels = np.full((240, 420), 128, np.uint8)
    pixels[60:, 100:] = np.random.default_rng(0).integers(0, 256, (180, 320))
    Image.fromarray(pixels).save(tmp_path / "in.png")
    try_out(TryConfig(str(tmp_path / "in.png"), tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text()
    assert page.count('width="640" height="360"') == len(NETWORKS) - 1  # It does not look drawn.
    still = Image.open(
        io.BytesIO(base64.b64decode(page.partition("data:image/png;base64,")[2].partition('"')[0]))
    )
    assert np.asarray(still.convert("L")).std() > 30, "most of the window is noise"


def test_whole_frames_of_a_picture_that_lies_on_its_side(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (20, 24, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(rgb).resize((48, 40)).save(tmp_path / "in.png", exif=exif)
    found = try_out(TryConfig(str(tmp_path / "in.png"), tmp_path / "page.html", scale=4, full=True))
    assert [each.model for each in found.tried] == ["bicubic-x4", "balanced-x4", "quality-x4"]
    assert found.seconds == (0.0,)
    assert found.clips == ()
    assert 'width="160" height="192"' in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("config", "said"),
    [({"url": "-"}, "only once"), ({"url": "a.mp4", "scale": 3}, "scale 3")],
)
def test_what_cannot_be_tried_is_refused(config: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        TryConfig(**config)  # type: ignore[arg-type]


def test_a_folder_is_called_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["try", str(tmp_path), "-o", str(tmp_path / "page.html")]) == 4
    assert f"{tmp_path}: is a folder" in capsys.readouterr().err
