"""Several inputs, and the names of their outputs."""

from __future__ import annotations

import os
import shutil
import stat
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import vsr
from tests.support import clips
from tests.support.enlarged import QUICK, enlarge, pictures
from vsr.backends.openvino import OpenVinoBackend
from vsr.core.errors import ConfigError, SourceOpenError
from vsr.jobs import many
from vsr.jobs import upscale as job_module
from vsr.upscale.upscaler import Upscaler


def run_many(
    *inputs: Path | str, output: Path | str | None = None, failures: list[str] | None = None
) -> list[vsr.Report]:
    config = vsr.UpscaleConfig(
        inputs=tuple(map(str, inputs)),
        output=None if output is None else str(output),
        network=vsr.NetworkOptions("bicubic"),
        sink=vsr.SinkOptions(preset="ultrafast"),
    )
    told = None if failures is None else lambda url, error: failures.append(f"{Path(url).name}: {error}")
    return vsr.upscale_many(config, on_failure=told)


def small(path: Path) -> Path:
    """A copy of a short clip at that place."""
    clip = clips.h264("short.mp4", source="testsrc2=size=64x48:rate=25:duration=0.2")
    path.write_bytes(clip.read_bytes())
    return path


def test_a_name_beside_the_input_is_the_default(tmp_path: Path) -> None:
    report = enlarge(small(tmp_path / "clip.mp4"), None, **QUICK)
    assert report.output == str(tmp_path / "clip_x2.mp4")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.mp4", "clip_x2.mp4"]


def test_a_folder_goes_to_a_folder(tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    small(source / "b.mp4")
    small(source / "a.mp4")
    Image.new("RGB", (16, 16)).save(source / "c.png")
    (source / "notes.txt").write_text("no picture")
    reports = run_many(source, output=f"{target}/")
    assert [Path(r.input).name for r in reports] == ["a.mp4", "b.mp4", "c.png"]
    assert sorted(p.name for p in target.iterdir()) == ["a_x2.mp4", "b_x2.mp4", "c_x2.png"]


def test_auto_takes_another_model_for_pictures_than_for_video_and_says_so(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "b.png")
    # Compressed too little to be seen by a look at it.
    clip = clips.h264("fine.mp4", "-crf", "8", source="testsrc2=size=64x48:rate=25:duration=0.2")
    names = (str(shutil.copy(clip, tmp_path / "a.mp4")), str(tmp_path / "b.png"))
    config = vsr.UpscaleConfig(
        inputs=names,
        output=f"{tmp_path}/out/",
        network=vsr.NetworkOptions(backend="openvino", temporal="off"),
    )
    video, picture = vsr.upscale_many(config)
    assert (video.model, picture.model) == ("balanced-x2", "quality-x2")
    assert "model balanced-x2, for video without a GPU" in video.notes
    assert "model quality-x2, for pictures" in picture.notes
    assert vsr.upscale_file(names[0], model="fast", backend="openvino").notes == ()


def test_inputs_of_one_name_get_outputs_of_two(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        small(tmp_path / folder / "clip.mp4")
    reports = run_many(tmp_path / "one/clip.mp4", tmp_path / "two/clip.mp4", output=f"{tmp_path}/out/")
    assert len({r.output for r in reports}) == 2
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_one_bad_input_does_not_keep_the_others(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video at all" * 100)
    failures: list[str] = []
    names = [small(tmp_path / "a.mp4"), tmp_path / "bad.mp4", small(tmp_path / "z.mp4")]
    reports = run_many(*names, output=f"{tmp_path}/out/", failures=failures)
    assert [Path(r.input).name for r in reports] == ["a.mp4", "z.mp4"]
    assert len(failures) == 1
    assert failures[0].startswith("bad.mp4: ")
    assert sorted(p.name for p in (tmp_path / "out").glob("*.mp4")) == ["a_x2.mp4", "z_x2.mp4"]


def test_without_a_listener_the_first_failure_is_raised(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video at all" * 100)
    with pytest.raises(SourceOpenError):
        run_many(tmp_path / "bad.mp4", small(tmp_path / "z.mp4"), output=f"{tmp_path}/out/")


def test_several_inputs_into_one_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="one output"):
        run_many(small(tmp_path / "a.mp4"), small(tmp_path / "b.mp4"), output=tmp_path / "out.mp4")


def refused(*inputs: Path | str, output: Path | str, match: str, report: Path | None = None) -> None:
    """Refused before anything is written, though outputs may be replaced."""
    with pytest.raises(ConfigError, match=match) as caught:
        vsr.upscale_many(
            vsr.UpscaleConfig(
                inputs=tuple(map(str, inputs)),
                output=str(output),
                network=vsr.NetworkOptions("bicubic"),
                sink=vsr.SinkOptions(overwrite=True),
                report=report,
            )
        )
    assert caught.value.hint


def test_an_input_under_the_name_of_the_part_is_left_alone(tmp_path: Path) -> None:
    part = small(tmp_path / "x.mp4.part")
    whole = part.read_bytes()
    refused(part, output=tmp_path / "x.mp4", match=r"x.mp4.part, which is the input")
    (tmp_path / "out").mkdir()
    other = small(tmp_path / "a.mp4")
    small(tmp_path / "out/a_x2.mp4.part")
    refused(other, tmp_path / "out/a_x2.mp4.part", output=f"{tmp_path}/out/", match="which is the input")
    assert part.read_bytes() == (tmp_path / "out/a_x2.mp4.part").read_bytes() == whole


def test_no_output_is_another_input(tmp_path: Path) -> None:
    names = small(tmp_path / "a.mp4"), small(tmp_path / "a_x2.mp4")
    whole = names[1].read_bytes()
    refused(*names, output=f"{tmp_path}/", match="is the input")
    assert names[1].read_bytes() == whole


def test_the_report_replaces_nothing_of_the_run(tmp_path: Path) -> None:
    clip, output = small(tmp_path / "a.mp4"), tmp_path / "out.mp4"
    refused(clip, output=output, report=clip, match="report .* is the input")
    refused(clip, output=output, report=tmp_path / "." / "out.mp4", match="report .* is the output")
    refused(clip, output=output, report=tmp_path / "out.mp4.part", match="report .* is the output")
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("name", ["pipe.mkv", "pipe.png"])
def test_a_named_pipe_is_not_replaced(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    refused(small(tmp_path / "a.mp4"), output=tmp_path / name, match="not a regular file")
    assert stat.S_ISFIFO((tmp_path / name).stat().st_mode)


@pytest.mark.parametrize("output", ["n" * 300 + ".mp4", "n" * 300 + "/", "n" * 300 + "/out.mp4", "n" * 252])
def test_too_long_a_name_is_told(output: str, tmp_path: Path) -> None:
    refused(small(tmp_path / "a.mp4"), output=f"{tmp_path}/{output}", match="File name too long")


def test_too_long_a_name_for_the_default_output_is_told(tmp_path: Path) -> None:
    clip = small(tmp_path / ("n" * 250 + ".mp4"))
    with pytest.raises(ConfigError, match="File name too long"):
        run_many(clip)


def test_a_refused_run_makes_no_folder(tmp_path: Path) -> None:
    clip = small(tmp_path / "a.mp4")
    refused(clip, output=f"{tmp_path}/new/", report=clip, match="is the input")
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_several_inputs_may_go_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reports = run_many(small(tmp_path / "a.mp4"), small(tmp_path / "b.mp4"), output="null:")
    assert [r.frames_out for r in reports] == [5, 5]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


def test_an_input_may_be_named_by_its_file_url(tmp_path: Path) -> None:
    clip = small(tmp_path / "a.mp4")
    reports = run_many(f"file://{clip}")
    assert [r.output for r in reports] == [str(tmp_path / "a_x2.mp4")]
    refused(f"file://{clip}", output=clip, match="is the input")


def test_an_output_may_be_named_by_its_file_url(tmp_path: Path) -> None:
    clip = small(tmp_path / "a.mp4")
    (tmp_path / "out").mkdir()
    assert [r.output for r in run_many(clip, output=f"file://{tmp_path}/b.mp4")] == [f"{tmp_path}/b.mp4"]
    assert [r.output for r in run_many(clip, output=f"file://{tmp_path}/out")] == [f"{tmp_path}/out/a_x2.mp4"]
    refused(clip, output=f"file://{clip}", match="is the input")


def test_stopped_tells_which_inputs_were_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [str(tmp_path / f"{n}.png") for n in range(4)]
    for name in names:
        Image.new("RGB", (16, 16)).save(name)
    control = vsr.JobControl()
    run, left = job_module.UpscaleJob.run, list[str]()

    def stopping(self: Any, url: str, *args: Any, **kwargs: Any) -> vsr.Report:
        report = run(self, url, *args, **kwargs)
        if url == names[1]:
            control.stop()
        return report

    monkeypatch.setattr(job_module.UpscaleJob, "run", stopping)
    config = vsr.UpscaleConfig(
        inputs=tuple(names), output=f"{tmp_path}/out/", network=vsr.NetworkOptions("bicubic")
    )
    reports = vsr.upscale_many(config, control=control, on_left=left.extend)
    assert [r.input for r in reports] == names[:2]
    assert left == names[2:]
    assert not any(r.stopped_early for r in reports)


def test_pictures_of_many_sizes_keep_few_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sides = [16, 18, 20, 22, 24, 26, 16]
    names = [tmp_path / f"{n}.png" for n in range(len(sides))]
    for name, side in zip(names, sides, strict=True):
        Image.radial_gradient("L").resize((side, side)).save(name)
    alive: set[int] = set()
    most = 0

    class Counted(Upscaler):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            nonlocal most
            super().__init__(*args, **kwargs)
            alive.add(id(self))
            most = max(most, len(alive))

        def close(self) -> None:
            super().close()
            alive.discard(id(self))

    monkeypatch.setattr(job_module, "Upscaler", Counted)
    config = vsr.UpscaleConfig(
        inputs=tuple(map(str, names)),
        output=f"{tmp_path}/out/",
        network=vsr.NetworkOptions("bicubic"),
        size=(48, 48),
    )
    reports = vsr.upscale_many(config)
    assert most <= 4
    assert not alive
    for name, report in zip(names, reports, strict=True):
        alone = enlarge(name, tmp_path / "alone.png", size=(48, 48), overwrite=True)
        assert report.output is not None
        assert alone.output is not None
        (ours,), (single,) = pictures(Path(report.output)), pictures(Path(alone.output))
        assert (ours == single).all()


def test_each_picture_is_compiled_for_while_the_one_before_is_encoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures_of = {
        "RGB": (16, 20),
        "RGBA": (18, 16),
        "L": (22, 22),
        "bad": (0, 0),
        "YCbCr": (23, 17),
        "I;16": (24, 24),
    }
    names = {
        mode: tmp_path / f"{n}.{'jpg' if mode == 'YCbCr' else 'png'}" for n, mode in enumerate(pictures_of)
    }
    for mode, size in pictures_of.items():
        if mode == "bad":
            names[mode].write_bytes(b"no picture at all")
        else:
            Image.radial_gradient("L").resize(size).convert(mode).save(names[mode])
    compiled: list[str] = []
    really = OpenVinoBackend.compile

    def counted(self: Any, spec: Any, layout: Any, shapes: Any, *others: Any) -> Any:
        compiled.append(f"{layout.name} {'x'.join(map(str, next(iter(shapes.values()))[:1:-1]))}")
        return really(self, spec, layout, shapes, *others)

    monkeypatch.setattr(OpenVinoBackend, "compile", counted)
    config = vsr.UpscaleConfig(
        inputs=tuple(map(str, names.values())),
        output=f"{tmp_path}/out/",
        network=vsr.NetworkOptions("bicubic"),
    )
    told: list[tuple[str, list[str]]] = []

    def tell(what: str, *_: object) -> None:
        told.append((Path(what).name, list(compiled)))
        compiled.clear()

    reports = vsr.upscale_many(config, on_failure=tell, on_report=lambda report, *_: tell(report.input))
    assert told == [
        ("0.png", ["rgb8 16x20", "rgb8 18x16", "gray8 18x16"]),
        ("1.png", ["gray8 22x22"]),
        ("2.png", []),
        ("3.png", []),
        ("4.jpg", ["gray8 23x17", "gray16 48x24"]),
        ("5.png", []),
    ]
    monkeypatch.undo()
    for report in reports:
        assert report.output is not None
        alone = enlarge(Path(report.input), tmp_path / f"alone{Path(report.output).suffix}", overwrite=True)
        assert alone.output is not None
        for ours, single in zip(pictures(Path(report.output)), pictures(Path(alone.output)), strict=True):
            assert (ours == single).all()


def test_a_picture_that_was_made_ready_is_closed_when_its_turn_never_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [tmp_path / "a.png", tmp_path / "b.png"]
    for name in names:
        Image.radial_gradient("L").resize((16, 16)).save(name)
    opened = []
    really = job_module.open_source

    def counted(url: str, options: Any) -> Any:
        opened.append(really(url, options))
        return opened[-1]

    monkeypatch.setattr(job_module, "open_source", counted)
    control = vsr.JobControl()
    config = vsr.UpscaleConfig(
        inputs=tuple(map(str, names)), output=f"{tmp_path}/out/", network=vsr.NetworkOptions("bicubic")
    )
    vsr.upscale_many(config, control=control, on_report=lambda *_: control.stop())
    assert [Path(source.carried.name).name for source in opened] == ["a.png", "b.png"]
    assert [list(source) for source in opened] == [[], []]  # closed sources have no frames


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"source": vsr.SourceOptions(start_s=1e20)}, "start"),
        ({"source": vsr.SourceOptions(start_s=float("nan"))}, "start"),
        ({"source": vsr.SourceOptions(duration_s=-1.0)}, "duration"),
        ({"source": vsr.SourceOptions(frame_rate=Fraction(10**20))}, "frame rate"),
        ({"source": vsr.SourceOptions(frame_rate=Fraction(1, 10**20))}, "frame rate"),
        ({"source": vsr.SourceOptions(frame_rate=Fraction(-25))}, "frame rate"),
        ({"sink": vsr.SinkOptions(bitrate=10**20)}, "bitrate"),
    ],
)
def test_numbers_out_of_range_are_refused(options: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigError, match=f"{what} .* is out of range") as caught:
        vsr.UpscaleConfig(inputs=("a.mp4",), **options)
    assert caught.value.hint


def test_a_rate_and_a_quality_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="exclude each other"):
        vsr.UpscaleConfig(inputs=("a.mp4",), sink=vsr.SinkOptions(crf=18.0, bitrate=10**6))


def test_threads_are_those_of_decoder_and_encoder_unless_they_have_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    for name in ("open_source", "open_sink"):
        real = getattr(job_module, name)

        def opened(url: str, options: Any, *rest: Any, real: Any = real) -> Any:
            seen.append(options.threads)
            return real(url, options, *rest)

        monkeypatch.setattr(job_module, name, opened)
    clip = small(tmp_path / "a.mp4")
    vsr.upscale_file(str(clip), "null:", model="bicubic", threads=1)
    vsr.upscale_many(
        vsr.UpscaleConfig(
            (str(clip),),
            "null:",
            vsr.NetworkOptions("bicubic", threads=1),
            source=vsr.SourceOptions(threads=2),
            sink=vsr.SinkOptions(threads=3),
        )
    )
    assert seen == [1, 1, 2, 3]


def test_the_time_left_for_all_goes_by_the_bytes_of_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, size in (("a", 100), ("b", 300)):
        (tmp_path / name).write_bytes(bytes(size))
    seen, now = list[vsr.Progress](), [0.0]
    watch = many._OfAll({0: str(tmp_path / "a"), 1: str(tmp_path / "b")}, seen.append, lambda: now[0])
    for at, item, frames, total in ((0.0, 0, 0, 10), (5.0, 0, 5, 10), (20.0, 1, 10, 30), (20.0, 1, 10, None)):
        now[0] = at
        share = frames / total if total else None
        watch(vsr.Progress("a", frames, total, 1.0, None, None, item, 2, share=share))
    assert [progress.eta_all_s for progress in seen] == [None, 35.0, 20.0, None]
