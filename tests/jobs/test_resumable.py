"""Jobs in segments: what is finished stays, whatever ends the run."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.job_parts import PLAN, WHOLE, Recorded, join, run_segment
from tests.support.tiers import slow_except
from vsr.core.control import Cancelled, Control
from vsr.core.errors import ConfigError, DecodeError, FileError
from vsr.files.checks import os_error
from vsr.jobs.folder import JobFolder
from vsr.jobs.journal import journal_content, read_journal
from vsr.jobs.tasks import Joined, SegmentDone, SegmentTask

COUNT = len(PLAN.segments)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out.mp4"


@pytest.fixture
def folder(output: Path) -> Path:
    return output.with_name("out.mp4.vsr")


def failing_at(number: int, error: BaseException) -> Any:
    def run(task: SegmentTask) -> SegmentDone:
        if task.segment.number == number:
            task.path.write_bytes(b"half of i")
            raise error
        return run_segment(task)

    return run


def half_done(output: Path, number: int = 3) -> None:
    """A job that was ended as by kill -9 while it made a segment."""
    with pytest.raises(ZeroDivisionError):
        Recorded(output, run=failing_at(number, ZeroDivisionError())).run()
    (output.with_name("out.mp4.vsr") / f"{number:06d}.4711.0").write_bytes(b"half of i")
    (output.with_name("out.mp4.vsr") / "joined.mp4.part").write_bytes(b"half")


def whole(output: Path) -> bool:
    """Whether the output is there, and nothing else."""
    return [p.name for p in output.parent.iterdir()] == [output.name] and output.read_bytes() == WHOLE


def test_an_undisturbed_job_makes_each_segment_once_and_leaves_the_output_only(output: Path) -> None:
    one = Recorded(output)
    report = one.run()
    assert one.made == list(range(COUNT))
    assert whole(output)
    assert (report.frames_out, report.output, report.output_bytes) == (100, str(output), len(WHOLE))
    assert report.notes == ("100 frames are damaged: parts of them were made up", "deinterlaced", "joined")
    assert (report.cpu_s, report.stages[0].busy_s, report.stages[0].rate_fps) == (1.25, 2.5, 40.0)
    assert not one.said
    assert not report.stopped_early


def test_the_same_job_goes_on_and_says_so(output: Path) -> None:
    half_done(output)
    one = Recorded(output)
    report = one.run()
    assert one.made == [3, 4]
    assert one.said == ["going on: 30 of 50 s are done"]
    assert whole(output)
    assert report.frames_out == 100


def test_stopped_once_finishes_the_segment_and_says_how_to_go_on(output: Path, folder: Path) -> None:
    control = Control()

    def stopping(task: SegmentTask) -> SegmentDone:
        if task.segment.number == 1:
            control.stop()
        return run_segment(task)

    one = Recorded(output, run=stopping, control=control)
    report = one.run()
    assert one.made == [0, 1]
    assert (report.stopped_early, report.output, report.kept) == (True, None, str(folder))
    assert one.said == [f"stopped: 20 of 50 s are done and kept in {folder}; the same command continues"]
    assert sorted(p.name for p in folder.iterdir()) == [
        "000000.segment",
        "000001.segment",
        "journal",
        "running",
    ]
    again = Recorded(output)
    again.run()
    assert again.made == [2, 3, 4]
    assert whole(output)


def test_cancelled_keeps_what_is_finished_and_nothing_else(output: Path, folder: Path) -> None:
    one = Recorded(output, run=failing_at(2, Cancelled()))
    with pytest.raises(Cancelled):
        one.run()
    assert one.said == [f"20 of 50 s are done and kept in {folder}; the same command continues"]
    assert sorted(p.name for p in folder.iterdir()) == [
        "000000.segment",
        "000001.segment",
        "journal",
        "running",
    ]
    Recorded(output).run()
    assert whole(output)


@pytest.mark.parametrize("error", [Cancelled(), DecodeError("broken", hint="mend it")])
def test_where_nothing_is_finished_nothing_is_left(error: BaseException, output: Path) -> None:
    with pytest.raises(type(error)) as caught:
        Recorded(output, run=failing_at(0, error)).run()
    assert not list(output.parent.iterdir())
    assert getattr(caught.value, "hint", "mend it") == "mend it"


def test_stopped_before_anything_is_begun_leaves_nothing(output: Path) -> None:
    control = Control()
    control.stop()
    with pytest.raises(Cancelled):
        Recorded(output, control=control).run()
    assert not list(output.parent.iterdir())


def test_an_error_names_what_is_kept_and_how_to_go_on(output: Path) -> None:
    with pytest.raises(DecodeError, match="broken") as caught:
        Recorded(output, run=failing_at(4, DecodeError("broken", hint="mend it"))).run()
    assert caught.value.hint == "mend it; the same command continues: 40 of 50 s are done"


@pytest.mark.parametrize("name", ["a file is gone", "a file is cut", "a bit is turned", "a file is longer"])
def test_a_finished_segment_that_does_not_match_is_made_again(name: str, output: Path, folder: Path) -> None:
    half_done(output)
    file = folder / "000001.segment"
    data = file.read_bytes()
    if name == "a file is gone":
        file.unlink()
    elif name == "a file is cut":
        file.write_bytes(data[:-1])
    elif name == "a bit is turned":
        file.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    else:
        file.write_bytes(data + b"x")
    one = Recorded(output)
    one.run()
    assert one.made == [1, 3, 4]
    assert one.said[0] == "1 finished segments are missing or damaged, and are made again"
    assert whole(output)


def test_a_journal_cut_at_any_byte_loses_no_more_than_its_last_line(output: Path, folder: Path) -> None:
    half_done(output)
    data = (folder / "journal").read_bytes()
    ends = [at + 1 for at, byte in enumerate(data) if byte == ord("\n")]
    saved = output.with_name("saved")
    folder.rename(saved)
    for cut in range(len(data) + 1):  # read at every byte, and run at some
        content = journal_content(data[:cut], folder)
        whole_lines = [end for end in ends if end <= cut]
        assert (len(content.finished), content.damage) == (max(0, len(whole_lines) - 1), "")
        assert content.length == max(whole_lines, default=0)
    for cut in [0, 1, *ends, *(end - 1 for end in ends)]:
        shutil.copytree(saved, folder)
        os.truncate(folder / "journal", cut)
        one = Recorded(output)
        one.run()
        lines = sum(end <= cut for end in ends)
        assert one.made == list(range(max(0, lines - 1), COUNT)), cut
        assert output.read_bytes() == WHOLE
        assert not [said for said in one.said if "damaged" in said]
        output.unlink()
    assert [p.name for p in output.parent.iterdir()] == ["saved"]


@pytest.mark.parametrize(
    "garbage", [b"\0", b"\0" * 5000, b"{}\n", b"deadbeef {}\n", os.urandom(999).replace(b"\n", b"")]
)
def test_garbage_behind_the_journal_is_cut_off(garbage: bytes, output: Path, folder: Path) -> None:
    half_done(output)
    with (folder / "journal").open("ab") as file:
        file.write(garbage)
    with pytest.raises(ZeroDivisionError):
        Recorded(output, run=failing_at(4, ZeroDivisionError())).run()
    content = read_journal(folder / "journal")
    assert sorted(content.finished) == [0, 1, 2, 3]
    assert content.length == (folder / "journal").stat().st_size
    one = Recorded(output)
    one.run()
    assert one.made == [4]
    assert whole(output)


@pytest.mark.parametrize("line", range(1, 4))
def test_a_line_damaged_in_the_middle_is_said_and_what_follows_is_made_again(
    line: int, output: Path, folder: Path
) -> None:
    half_done(output)
    lines = (folder / "journal").read_bytes().splitlines(keepends=True)
    lines[line - 1] = lines[line - 1].replace(b'"', b"'", 1)
    (folder / "journal").write_bytes(b"".join(lines))
    one = Recorded(output)
    one.run()
    assert one.made == list(range(max(0, line - 2), COUNT))
    assert f"line {line} of 4 of {folder / 'journal'} is damaged" in one.said[0]
    assert whole(output)


def test_a_journal_of_another_version_is_left_alone(output: Path, folder: Path) -> None:
    from vsr.jobs import journal

    half_done(output)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "SCHEMA", 2)
        with pytest.raises(ConfigError, match="another version of vsr") as caught:
            Recorded(output).run()
    assert "--restart" in str(caught.value.hint)
    Recorded(output).run()
    assert whole(output)


def test_what_has_changed_is_named_and_left_alone(output: Path, folder: Path) -> None:
    half_done(output)
    before = {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "running"}
    other = {"--crf": 23.0, "--preset": "slow", "input": "/in.mp4"}
    with pytest.raises(
        ConfigError, match=r"--crf was 18.0, is 23.0; --preset was not given, is slow"
    ) as caught:
        Recorded(output, identity=other).run()
    assert "--restart" in str(caught.value.hint)
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "running"} == before
    one = Recorded(output, identity=other, restart=True)
    one.run()
    assert one.made == list(range(COUNT))
    assert whole(output)


def test_the_clock_does_not_matter(output: Path, folder: Path) -> None:
    half_done(output)
    for path in folder.iterdir():
        os.utime(path, (10**9 * 9, 10**9 * 9))
    one = Recorded(output)
    one.run()
    assert one.made == [3, 4]


def test_the_second_run_names_the_first_and_changes_nothing(output: Path, folder: Path) -> None:
    half_done(output)
    with JobFolder(folder):
        before = sorted(p.name for p in folder.iterdir())
        with pytest.raises(ConfigError, match=rf"works on .*out.mp4: process {os.getpid()} on .*, since 20"):
            Recorded(output).run()
        assert sorted(p.name for p in folder.iterdir()) == before
    Recorded(output).run()
    assert whole(output)


def test_an_output_that_is_there_is_not_replaced(output: Path) -> None:
    output.write_bytes(b"mine")
    with pytest.raises(ConfigError, match="exists"):
        Recorded(output).run()
    assert [p.name for p in output.parent.iterdir()] == ["out.mp4"]
    assert output.read_bytes() == b"mine"
    Recorded(output, overwrite=True).run()
    assert whole(output)


def test_an_output_that_came_meanwhile_is_not_replaced_and_nothing_is_lost(output: Path) -> None:
    def run(task: SegmentTask) -> SegmentDone:
        output.write_bytes(b"mine")
        return run_segment(task)

    with pytest.raises(ConfigError, match="exists"):
        Recorded(output, run=run).run()
    assert output.read_bytes() == b"mine"
    one = Recorded(output, overwrite=True)
    one.run()
    assert not one.made
    assert whole(output)


def test_an_end_between_the_name_and_the_folder_is_taken_for_the_end(
    output: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(JobFolder, "remove", lambda _: (_ for _ in ()).throw(ZeroDivisionError))
        with pytest.raises(ZeroDivisionError):
            Recorded(output).run()
    assert folder.is_dir()
    one = Recorded(output)
    report = one.run()
    assert not one.made
    assert report.frames_out == 100
    assert whole(output)


def test_a_failed_join_is_made_again(output: Path, folder: Path) -> None:
    def failing(files: Sequence[Path], target: Path) -> Joined:
        target.write_bytes(b"half")
        raise FileError("cannot write")

    with pytest.raises(FileError) as caught:
        Recorded(output, join=failing).run()
    assert "continues: 50 of 50 s are done" in str(caught.value.hint)
    assert not output.exists()
    one = Recorded(output, join=join)
    one.run()
    assert not one.made
    assert whole(output)


def test_files_of_others_in_the_folder_stay(output: Path, folder: Path) -> None:
    half_done(output)
    (folder / "notes.txt").write_text("mine")
    Recorded(output).run()
    assert [p.name for p in folder.iterdir()] == ["notes.txt"]


def test_a_file_of_the_folders_name_is_left_alone(output: Path, folder: Path) -> None:
    folder.write_text("mine")
    with pytest.raises(ConfigError, match="is not a folder"):
        Recorded(output).run()
    assert folder.read_text() == "mine"


def test_a_link_leads_to_where_the_output_lies(output: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    output.symlink_to(tmp_path / "disk/real.mp4")
    half = Recorded(output, run=failing_at(3, DecodeError("broken")))
    with pytest.raises(DecodeError):
        half.run()
    assert (tmp_path / "disk/real.mp4.vsr").is_dir()
    Recorded(output).run()
    assert [p.name for p in (tmp_path / "disk").iterdir()] == ["real.mp4"]
    assert output.is_symlink()
    assert output.read_bytes() == WHOLE


def full(number: int) -> FileError:
    try:
        raise os_error("it", OSError(number, os.strerror(number))) from OSError(number, "")
    except FileError as error:
        return error


def test_a_full_disk_says_how_much_is_needed_and_the_job_goes_on_afterwards(output: Path) -> None:
    with pytest.raises(FileError, match=r"No space left on device; about .* are needed there") as caught:
        Recorded(output, run=failing_at(3, full(errno.ENOSPC))).run()
    assert "free some space" in str(caught.value.hint)
    assert "continues: 30 of 50 s" in str(caught.value.hint)
    Recorded(output).run()
    assert whole(output)


def test_a_disk_that_is_known_to_be_too_small_is_refused_before(output: Path) -> None:
    with pytest.raises(FileError, match=r"about 2 GB are needed to the end, 1.5 GB are free") as caught:
        Recorded(output, estimated_bytes=10**9, free_bytes=lambda _: 1_500_000_000).run()
    assert caught.value.hint == "free some space on that disk"
    assert not list(output.parent.iterdir())


def test_room_is_watched_while_it_runs(output: Path) -> None:
    size = len(WHOLE) // COUNT
    one = Recorded(output, free_bytes=lambda _: 3 * size)
    with pytest.raises(FileError, match="are needed to join the segments"):
        one.run()
    assert one.made == list(range(COUNT))
    assert len([said for said in one.said if "are free" in said]) == 1
    with pytest.raises(FileError, match="for the next segment"):
        Recorded(output, restart=True, free_bytes=lambda _: size // 2).run()


def refusal(one: Recorded) -> str:
    """The message of the error that a run raises; "" if it raises none."""
    try:
        one.run()
    except FileError as error:
        return error.message
    return ""


@pytest.mark.parametrize("name", slow_except("write", ["write", "fsync", "replace", "mkdir"]))
@pytest.mark.parametrize("number", slow_except(errno.ENOSPC, [errno.ENOSPC, errno.EROFS]))
def test_whatever_the_system_refuses_is_one_clear_error_and_nothing_is_lost(
    name: str, number: int, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first call fails, then the second, and so on; each time the job is run again."""
    real = getattr(os, name)
    for failing in range(200):
        calls = 0

        def refusing(*args: Any, failing: int = failing, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls - 1 == failing:
                if name == "write":
                    real(args[0], bytes(args[1])[: len(args[1]) // 2])
                raise OSError(number, os.strerror(number))
            return real(*args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(os, name, refusing)
            said = refusal(Recorded(output))
            assert not said or os.strerror(number) in said
        before = calls
        finished = output.exists()
        Recorded(output, overwrite=finished).run()
        assert whole(output), failing
        output.unlink()
        if before <= failing:
            break
    assert failing > 0


def test_paths_in_the_journal_may_hold_any_bytes(tmp_path: Path) -> None:
    output = tmp_path / os.fsdecode(b"\xff\xfe out.mp4")
    with pytest.raises(DecodeError):
        Recorded(output, identity={"input": str(output)}, run=failing_at(3, DecodeError("x"))).run()
    one = Recorded(output, identity={"input": str(output)})
    one.run()
    assert one.made == [3, 4]


def test_lines_are_json_behind_a_checksum(output: Path, folder: Path) -> None:
    half_done(output)
    lines = (folder / "journal").read_text().splitlines()
    kinds = [next(iter(json.loads(line.partition(" ")[2]))) for line in lines]
    assert kinds == ["job", "segment", "segment", "segment"]
