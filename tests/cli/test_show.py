from __future__ import annotations

import io
import json
import os
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from PIL import Image
from rich.cells import cell_len

from vsr.cli import main, progress, text
from vsr.cli.show import Run, check_report_path, report_lines, write_json
from vsr.core.errors import ConfigError, FileError, VsrError
from vsr.jobs.progress import Progress
from vsr.jobs.report import Report, StageReport


def stage(name: str, busy_s: float) -> StageReport:
    return StageReport(name, 120, 120, busy_s, 1.0, 0.5, 0.1, round(120 / busy_s, 2), 4)


REPORT = Report(
    input="in.mp4",
    output="out.mp4.part",
    model="balanced-x2",
    backend="openvino",
    device="cpu",
    precision="bf16",
    size_in=(640, 360),
    size_out=(1280, 720),
    frames_in=120,
    frames_out=120,
    seconds=4.0,
    setup_s=0.3,
    cpu_s=7.0,
    fps=30.0,
    stages=(stage("decode", 0.5), stage("infer", 3.5)),
    bottleneck="infer",
    damaged_packets=2,
    first_error="invalid data",
    notes=("deinterlaced",),
    warnings=("no chapters in this container",),
    stopped_early=True,
    output_bytes=1_234_567,
)


def test_a_report_tells_what_matters() -> None:
    lines = report_lines(REPORT, verbose=True)
    assert lines[0] == "in.mp4: 640x360 to 1280x720"
    assert "120 frames in 4.0 s, 30.0 fps end to end, balanced-x2 on openvino, cpu" in lines[1]
    assert [line for line in lines if "bottleneck" in line] == [line for line in lines if "infer" in line]
    assert "  skipped 2 damaged packets (the first: invalid data)" in lines
    assert "  note: deinterlaced" in lines
    assert "  warning: no chapters in this container" in lines
    assert any("stopped after 120 frames" in line for line in lines)
    assert lines[-1] == "  wrote out.mp4.part (1.2 MB)"


def test_what_was_said_before_and_the_stages_are_left_out() -> None:
    lines = report_lines(REPORT, known={"deinterlaced"})
    assert not any("bottleneck" in line or "deinterlaced" in line for line in lines)
    assert "  warning: no chapters in this container" in lines


@pytest.mark.parametrize(
    ("seconds", "first_frame_s", "video_s", "said"),
    [
        (4.0, 1.0, 4.0, "  1 h of 640x360 takes about 45 min here"),
        (300.0, None, 100.0, "  1 h of 640x360 takes about 3.0 h here"),
        (6000.0, 0.0, 60.0, "  1 h of 640x360 takes about 4.2 days here"),
        (4.0, 4.0, 4.0, ""),
        (4.0, 1.0, None, ""),
    ],
)
def test_how_long_an_hour_takes(
    seconds: float, first_frame_s: float | None, video_s: float | None, said: str
) -> None:
    report = replace(REPORT, seconds=seconds, first_frame_s=first_frame_s, video_s=video_s)
    assert [line for line in report_lines(report) if "1 h of" in line] == ([said] if said else [])


def test_reports_are_written_as_json(tmp_path: Path) -> None:
    write_json(tmp_path / "report.json", Run([REPORT, REPORT]))
    written = json.loads((tmp_path / "report.json").read_text())
    assert len(written["reports"]) == 2
    assert written["reports"][0]["stages"][1]["name"] == "infer"
    assert written["vsr"]


def test_a_report_that_cannot_be_written_is_refused_early(tmp_path: Path) -> None:
    check_report_path(None)
    check_report_path(tmp_path / "new.json")
    check_report_path(Path("new.json"))
    with pytest.raises(ConfigError, match="no folder"):
        check_report_path(tmp_path / "nowhere" / "new.json")
    for nothing in (Path(), Path("-"), tmp_path):
        with pytest.raises(ConfigError, match="names no file"):
            check_report_path(nothing)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="not a regular file"):
        check_report_path(tmp_path / "pipe")
    with pytest.raises(VsrError, match="cannot write"):
        write_json(tmp_path, {})


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (text.duration(5.24), "5.2 s"),
        (text.duration(65.4), "1:05"),
        (text.duration(7265), "2:01:05"),
        (text.left(58.2), "58 s"),
        (text.left(59.7), "1:00"),
        (text.times(1), "once"),
        (text.times(1200), "1,200 times"),
        (text.size(812), "812 bytes"),
        (text.size(4096), "4.1 kB"),
        (text.size(12_345_678), "12.3 MB"),
        (text.size(5e12), "5000.0 GB"),
        (text.rate(0.534), "0.53"),
        (text.rate(29.97), "30.0"),
        (text.rate(1234.5), "1,234"),
    ],
)
def test_numbers(written: str, expected: str) -> None:
    assert written == expected


def test_a_report_that_cannot_be_written_is_an_error_of_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.json.part").symlink_to(tmp_path / "elsewhere")
    Image.new("RGB", (8, 8), "red").save(tmp_path / "in.png")
    report = ["--report", str(tmp_path / "report.json")]
    out = str(tmp_path / "out.png")
    code = main(["upscale", str(tmp_path / "in.png"), out, "--model", "bicubic", "--quiet", *report])
    assert code == FileError.exit_code
    assert f"error: cannot write {tmp_path}/report.json.part: " in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.png", "out.png", "report.json.part"]


def test_table_and_tree() -> None:
    assert text.table([]) == []
    assert text.table([["name", "n"], ["a", "10"]]) == ["name  n", "a     10"]
    assert text.table([["name", "n"], ["映画", "1"]], numbers=(1,)) == ["name  n", "映画  1"]
    lines = text.tree(
        {
            "frame_rate": 25.0,
            "nothing": None,
            "empty": [],
            "ok": True,
            "size": (640, 360),
            "colour": {"matrix": 1},
            "streams": [{"codec": "h264", "title": ""}, "other"],
        }
    )
    assert lines == [
        "frame rate: 25",
        "ok: yes",
        "size: 640 x 360",
        "colour:",
        "  matrix: 1",
        "streams:",
        "  - codec h264",
        "  - other",
    ]


WIDE = [
    ["name", "fps", "what it is for"],
    ["2x-anime", "1,234", "For drawings, and for pictures of drawings in films"],
]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (80, ["name        fps  what it is for", f"2x-anime  1,234  {WIDE[1][2]}"]),
        (
            40,
            [
                "name        fps  what it is for",
                "2x-anime  1,234  For drawings, and for",
                "                 pictures of drawings in",
                "                 films",
            ],
        ),
        (30, ["2x-anime", "  fps: 1,234", f"  what it is for: {WIDE[1][2]}"]),
    ],
)
def test_a_table_in_a_narrow_terminal(columns: int, expected: list[str]) -> None:
    assert text.table(WIDE, numbers=(1,), columns=columns) == expected


def test_a_table_in_a_pipe_has_one_line_for_each_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert len(text.table(WIDE, numbers=(1,))) == 2
    monkeypatch.setattr("sys.stdout", Terminal())
    assert len(text.table(WIDE, numbers=(1,))) == 3


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


HALFWAY = Progress("in.mp4", 60, 120, 30.0, 1.2, 2.0, item=1, items=3, share=0.5)
UNKNOWN = Progress("in.mp4", 60, None, 30.0, None, None)


def test_figures() -> None:
    assert progress.figures(HALFWAY) == "60/120 frames, 30.0 fps, 1.20x real time, 2 s left"
    assert progress.figures(UNKNOWN) == "60 frames, 30.0 fps"
    assert progress.name_of(HALFWAY) == "[2/3] in.mp4"
    assert progress.name_of(UNKNOWN) == "in.mp4"


def test_a_terminal_gets_a_bar() -> None:
    stream = Terminal()
    with progress.progress_bar(quiet=False, stream=stream) as show:
        assert show is not None
        show(UNKNOWN)
        show(HALFWAY)
    assert "60 frames, 30.0 fps" in stream.getvalue()
    assert "50%, 30.0 fps, 2 s left" in stream.getvalue()


@pytest.mark.parametrize(
    "name", ["/videos/of/a/long/holiday/by/the/sea/in/the/year/2019/part-2.mkv", "映画" * 40]
)
@pytest.mark.parametrize("columns", [80, 60])
def test_the_line_fits_and_cuts_the_name_first(
    name: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = Terminal()
    with progress.progress_bar(quiet=False, stream=stream) as show:
        assert show is not None
        show(replace(HALFWAY, input=name, eta_s=5000.0, fps=1234.5))
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    line = next(line for line in re.split(r"[\r\n]+", shown) if "fps" in line)
    assert cell_len(line) <= columns
    assert "50%, 1,234 fps, 1:23:20 left" in line
    assert "…" in line
    assert name[-4:] in line


@pytest.mark.parametrize(("columns", "shown"), [(80, True), (60, False)])
def test_the_size_to_expect_is_shown_where_it_fits(
    columns: int, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = Terminal()
    with progress.progress_bar(quiet=False, stream=stream) as show:
        assert show is not None
        show(replace(HALFWAY, bytes=600_000_000, bytes_expected=1_200_000_000))
    assert ("2 s left, about 1.2 GB" in stream.getvalue()) == shown
    line = progress.figures(replace(HALFWAY, bytes=600_000_000, bytes_expected=1_200_000_000))
    assert line.endswith("2 s left, 600.0 MB of about 1.2 GB")


def test_a_line_of_json_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    stream = io.StringIO()
    with progress.progress_bar(quiet=True, as_json=True, stream=stream) as show:
        assert show is not None
        for now in (5.0, 5.5, 6.1, 6.9, 7.2):  # noqa: B007
            show(HALFWAY)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == 3
    assert lines[0] == asdict(HALFWAY)


def test_elsewhere_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    stream = io.StringIO()
    with progress.progress_bar(quiet=False, stream=stream) as show:
        assert show is not None
        for now in (1.0, 9.0, 11.0, 12.0, 22.0):  # noqa: B007
            show(HALFWAY)
    assert stream.getvalue().count("[2/3] in.mp4: 60/120 frames") == 2


def test_quiet_shows_nothing() -> None:
    with progress.progress_bar(quiet=True) as show:
        assert show is None
