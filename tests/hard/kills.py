"""Kill `vsr upscale --segment 1` at random moments, and around each of its renamings and syncs; go on, and compare.

    python tests/hard/kills.py [100] [--first 0] [--keep FOLDER] [--report FILE.md]

A run is killed with SIGKILL one to three times, then it may end. Its output must have, bit for bit, the packets of a run that
nobody disturbed, no more may be left beside it, and each run that goes on must say so where a segment was done. Exits with 1 if
anything is otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 8
# Kills its process before or after so many calls of a function of `os`.
_HOOK = """
import os, signal
name, wanted, when = os.environ.get("VSR_TEST_KILL", "").split(":") if os.environ.get("VSR_TEST_KILL") else ("", "0", "")
if name:
    real, count = getattr(os, name), [0]
    def hooked(*given, **named):
        count[0] += 1
        hit = count[0] == int(wanted)
        if hit and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*given, **named)
        if hit:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(os, name, hooked)
"""


@dataclass
class Trial:
    """moments: when it was killed, in words. found: segments that were done by then. ended: what is wrong, or empty."""

    moments: list[str] = field(default_factory=list)
    found: list[int] = field(default_factory=list)
    ended: str = ""


def make_clip(path: Path) -> None:
    """H.264 with open groups of pictures and B-frames, and AAC."""
    video = f"testsrc2=size=96x72:rate=25:duration={_SECONDS}"
    sound = f"sine=frequency=440:duration={_SECONDS}"
    codec = "-c:v libx264 -g 13 -bf 3 -x264-params open-gop=1 -pix_fmt yuv420p -c:a aac".split()
    inputs = ["-f", "lavfi", "-i", video, "-f", "lavfi", "-i", sound]
    subprocess.run(["ffmpeg", "-v", "error", "-y", *inputs, *codec, str(path)], check=True)


def packets(path: Path) -> list[dict[str, str]]:
    """All of its packets, with a hash of their data, wherever they lie in the file."""
    asked = ["ffprobe", "-v", "error", "-show_packets", "-show_data_hash", "md5", "-of", "json", str(path)]
    found = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
    return [{key: value for key, value in one.items() if key != "pos"} for one in found["packets"]]


class Kills:
    """Trials in one folder, against one run that nobody disturbs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clip = folder / "in.mp4"
        make_clip(self.clip)
        (folder / "hook").mkdir()
        (folder / "hook" / "sitecustomize.py").write_text(_HOOK)
        (folder / "whole").mkdir()
        began = time.monotonic()
        code, said = self.run(folder / "whole" / "out.mp4")
        self.takes_s = time.monotonic() - began
        assert code == 0, said
        self.expected = packets(folder / "whole" / "out.mp4")

    def run(self, output: Path, *, after_s: float | None = None, at: str = "") -> tuple[int, str]:
        """(exit code, what was said); killed after so many seconds, or at a call (`fsync:3:before`)."""
        command = [
            sys.executable,
            "-m",
            "vsr",
            "upscale",
            str(self.clip),
            str(output),
            "--model",
            "bicubic",
            "--segment",
            "1",
        ]
        path = os.pathsep.join(
            filter(None, (str(self.folder / "hook"), str(ROOT), os.environ.get("PYTHONPATH")))
        )
        environment = {**os.environ, "PYTHONPATH": path, "VSR_TEST_KILL": at}
        child = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            start_new_session=True,
        )
        try:
            said, _ = child.communicate(timeout=after_s)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            said, _ = child.communicate()
        return child.returncode, said

    def trial(self, number: int, kills: Sequence[tuple[float | None, str]]) -> Trial:
        """kills: after so many seconds, or at a call."""
        folder = self.folder / str(number)
        folder.mkdir()
        output, trial = folder / "out.mp4", Trial()
        for after_s, at in kills:
            code, said = self.run(output, after_s=after_s, at=at)
            trial.moments.append(at or f"{after_s:.2f} s")
            journal = folder / "out.mp4.vsr" / "journal"
            done = len(journal.read_bytes().splitlines()) - 1 if journal.exists() else 0
            trial.found.append(max(0, done))
            if code == 0 or _was_whole(output, code, said):
                break
            if code != -signal.SIGKILL:
                trial.ended = f"ends with {code}: {said}"
                return trial
        code, said = self.run(output)
        if code != 0 and not _was_whole(output, code, said):
            trial.ended = f"ends with {code}: {said}"
        elif code == 0 and trial.found[-1] and "going on" not in said:
            trial.ended = f"does not say that it goes on: {said}"
        elif packets(output) != self.expected:
            trial.ended = "other packets"
        elif left := [path.name for path in folder.iterdir() if path != output]:
            trial.ended = f"leaves {', '.join(left)}"
        return trial


def _was_whole(output: Path, code: int, said: str) -> bool:
    """Whether a run found that an earlier one had been killed behind its last step."""
    return code == 2 and output.exists() and "exists" in said


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("count", type=int, nargs="?", default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vsr-kills-") as scratch:
        kills = Kills(Path(scratch))
        trials: list[Trial] = []
        for number in range(given.first, given.first + given.count):
            rng = random.Random(number)
            asked: list[tuple[float | None, str]]
            if number % 2:
                name = rng.choice(("fsync", "fsync", "replace"))
                asked = [(None, f"{name}:{rng.randint(1, 14)}:{rng.choice(('before', 'after'))}")]
            else:
                asked = [(rng.uniform(0.1, 1.1) * kills.takes_s, "") for _ in range(rng.randint(1, 3))]
            trials.append(kills.trial(number, asked))
            print(number, trials[-1], flush=True)
    wrong = [trial for trial in trials if trial.ended]
    lines = ["| killed at | segments done by then | output |", "|---|---|---|"]
    lines += [
        f"| {', then '.join(trial.moments)} | {', '.join(map(str, trial.found))} | {trial.ended or 'the same packets'} |"
        for trial in trials
    ]
    if given.report:
        given.report.write_text("\n".join(lines) + "\n")
    print(f"{len(trials)} runs killed, {len(wrong)} with problems")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
