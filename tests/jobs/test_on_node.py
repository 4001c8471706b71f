"""What a node of a cluster does, without a cluster: it has nothing but what it is sent."""

from __future__ import annotations

import pickle
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import vsr
from tests.support import clips
from vsr.core.errors import ModelError
from vsr.core.limits import cores
from vsr.jobs.cluster import _remote
from vsr.jobs.on_node import Package, make_segment, versions
from vsr.jobs.run_segment import run_segment
from vsr.jobs.segments import plan_segments
from vsr.jobs.tasks import SegmentTask
from vsr.jobs.upscale import UpscaleJob
from vsr.media.read.excerpt import excerpt, reads_noted
from vsr.media.read.index import video_index
from vsr.media.read.open import open_source
from vsr.media.read.source import FileSource


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Of 2 s, with keyframes twice a second."""
    video, encoding = "testsrc2=size=64x48:rate=20:duration=2", ("-g", "10", "-pix_fmt", "yuv420p")
    made = clips.made(
        "node.mp4",
        (video, encoding),
        lambda path: clips.run("-f", "lavfi", "-i", video, *encoding, path),
    )
    return Path(shutil.copy2(made, tmp_path / "in.mp4"))


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A model that no installed vsr has."""
    folder = tmp_path / "models" / "mine"
    shutil.copytree(vsr.find_model("bicubic").folder, folder)
    return folder


def task_of(clip: Path, package: Path, path: Path) -> SegmentTask:
    """The second segment."""
    options = vsr.SourceOptions(threads=1)
    config = vsr.UpscaleConfig(
        (str(clip),),
        network=vsr.NetworkOptions(str(package)),
        source=options,
        sink=vsr.SinkOptions(threads=1),
    )
    index = video_index(str(clip), options)
    segment = plan_segments(index, round(0.5 / index.time_base)).segments[1]
    return SegmentTask(str(clip), str(clip.with_name("out.mp4")), config, segment, path)


def test_a_node_makes_the_same_of_an_excerpt_and_a_package_that_came_to_it(
    clip: Path, package: Path, tmp_path: Path
) -> None:
    task = task_of(clip, package, tmp_path / "here")
    with UpscaleJob(task.config) as job:
        here = run_segment(job, task)
    with reads_noted() as noted, open_source(task.url, task.config.source) as source:
        assert isinstance(source, FileSource)
        source.read_part(task.segment.seek, task.segment.end)
    sent = pickle.dumps(task), pickle.dumps(Package.of(package)), [pickle.dumps(excerpt(clip, noted))]
    clip.unlink()
    shutil.rmtree(package)
    told: list[tuple[int, int]] = []
    done, data = pickle.loads(make_segment(*sent, cores(), lambda *news: told.append(news)))
    assert data == task.path.read_bytes()
    assert told
    assert {number for number, _ in told} == {1}
    assert 0 <= told[-1][1] <= here.report.frames_out
    assert (done.number, done.report.frames_out) == (1, here.report.frames_out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "models"]


def test_what_fails_on_a_node_comes_back_as_an_error(clip: Path, package: Path, tmp_path: Path) -> None:
    task = task_of(clip, package, tmp_path / "here")
    (package / "model.toml").write_text("nothing = 1")
    with reads_noted() as noted, open_source(task.url, task.config.source):
        pass
    sent = pickle.dumps(task), pickle.dumps(Package.of(package)), [pickle.dumps(excerpt(clip, noted))]
    error = pickle.loads(make_segment(*sent, threads=cores()))
    assert isinstance(error, ModelError)
    assert "model.toml" in error.message


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ({"vsr": "0.0"}, f"has vsr {versions()['vsr']}, not 0.0"),
        ({"the code of vsr": "other"}, f"has the code of vsr {versions()['the code of vsr']}, not other"),
        ({"av": "1.2"}, f"has av {versions()['av']}, not 1.2"),
    ],
)
def test_a_node_of_another_version_says_so(
    there: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = SimpleNamespace(get_node_id=lambda: "0123456789abcdef")
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get_runtime_context=lambda: context))
    node, answer = _remote()({**versions(), **there}, 1, None, b"", b"")
    assert "(01234567)" in node
    assert answer == said


def test_a_node_without_vsr_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    context = SimpleNamespace(get_node_id=lambda: "0123456789abcdef")
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get_runtime_context=lambda: context))
    without: Any = None
    monkeypatch.setitem(sys.modules, "vsr.jobs.on_node", without)
    assert "has no vsr that could help" in str(_remote()({}, 1, None, b"", b"")[1])
