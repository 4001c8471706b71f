"""For every test: workers share one folder of clips, none sees what the user has kept, none leaves anything running."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.support.clips import FOLDER_VARIABLE
from tests.support.left_behind import Held
from tests.support.processes import Processes


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """None of its own where files or tests are named: they begin at once, in this process."""
    return 0 if any(Path(name.split("::")[0]).is_file() for name in config.args) else None


def pytest_configure(config: pytest.Config) -> None:
    # What runs in the background of a script, or by nohup, ignores them, and so would all that it starts.
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)
    if hasattr(config, "workerinput"):
        return
    folder = tempfile.mkdtemp(prefix="vsr-clips-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    os.environ[FOLDER_VARIABLE] = folder
    workers = config.getoption("numprocesses", None) or 1
    if workers > 1:  # or each would compute on every core, and wait for the others
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What was captured, as text that pytest-xdist passes on: file names of any bytes are printed as they are."""
    report = yield
    report.sections = [(name, text.encode(errors="replace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session", autouse=True)
def _own_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VSR_MODELS", str(tmp_path_factory.mktemp("models")))
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        # Nothing can be kept there, so that every test compiles, and no precision is chosen by measuring.
        (cache := tmp_path_factory.mktemp("cache")).joinpath("vsr").touch()
        patch.setenv("XDG_CACHE_HOME", str(cache))
        yield


@pytest.fixture(scope="module", autouse=True)
def _secrets_of_its_own() -> Iterator[None]:
    """A secret that one file of tests made known, such as "word", is not hidden in what those of another one say."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vsr.core.secrets._known", set())
        yield


@pytest.fixture(scope="module", autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    before = Held.now()
    yield
    assert not (left := before.left_behind()), left


@pytest.fixture
def processes() -> Iterator[Processes]:
    """Starts processes, which end with the test."""
    with Processes() as started:
        yield started
