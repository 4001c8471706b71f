"""Measure vsr beside other ways to run the same network on the same clip, with the same encoder.

    python -m benchmarks.peers --out benchmarks/side-by-side/peers.json

Every peer has an environment of its own, made here by venv and pip. What cannot run is left out, with the reason. The network
is Compact, 64 channels, 16 layers, RGB, and every output is compared with that of vsr, so that all do the same work.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.interleave import interleaved, make_clip, of, path_to, ratio, write_result
from benchmarks.peers.peer import Peer, Task

ROOT = Path(__file__).parents[2]
MODULES = (
    "vsr_itself",
    "openvino_loop",
    "onnxruntime_loop",
    "torch_fp32",
    "torch_bf16",
    "torch_compile",
    "ncnn_loop",
    "framelift",
    "ffmpeg_lanczos",
)
FIRST = MODULES[0]
PATIENCE_S = 900


class Failed(Exception):
    pass


def told(command: list[str], **options: Any) -> str:
    """What a command prints. Raises Failed with its last line of errors."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_S, check=True, **options
        )
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or error.stdout).strip().splitlines()
        raise Failed(lines[-1] if lines else f"exit code {error.returncode}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(str(error)) from error
    return done.stdout


def python_of(peer: Peer, folder: Path) -> str:
    """The Python interpreter of a peer's environment. The environment is made first if it does not exist."""
    if not peer.requirements:
        return sys.executable
    key = hashlib.sha256("\n".join([sys.version, *peer.requirements]).encode()).hexdigest()[:12]
    place = folder / key
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    whole = place / "requirements.txt"  # Written last.
    if not whole.exists():
        print(f"installing {', '.join(peer.requirements)}", file=sys.stderr, flush=True)
        venv.create(place, with_pip=True, clear=True)
        told([str(python), "-m", "pip", "install", "-q", *peer.requirements])
        whole.write_text("\n".join(peer.requirements) + "\n")
    return str(python)


def measured(module: str, python: str, task: Task, first: Path, clip: Path) -> dict[str, Any]:
    """One run in a process of its own, after one of the clip `first`."""
    output = clip.with_name(f"{module}.mp4")
    output.unlink(missing_ok=True)
    given = json.dumps(asdict(task) | {"folder": str(task.folder)})
    command = [python, "-m", "benchmarks.peers.worker", module, given]
    command += [str(first), str(clip), str(output)]
    lines = told(command, cwd=clip.parent, env=path_to(ROOT)).splitlines()
    found: dict[str, Any] = json.loads(lines[-1])
    found["fps"] = round(found["frames"] / found["seconds"], 3)
    return found


def likeness(output: Path, other: Path) -> float:
    """PSNR of luma between two videos, in dB; 100 for the same."""
    command = ["ffmpeg", "-i", str(output), "-i", str(other), *"-lavfi psnr -f null -".split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"PSNR y:(\S+)", done.stderr)
    return min(100.0, float(found[1])) if found else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument("--size", default="320x180", help="of the clip")
    parser.add_argument("--scale", type=int, choices=[2, 4], default=4)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=MODULES[1:], default=MODULES[1:])
    parser.add_argument("--environments", type=Path, default=cache / "vsr-peers", help="folder")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    network = given.environments / f"compact-x{given.scale}"
    from benchmarks.peers.compact import make_network  # wants torch

    make_network(network, given.scale)
    task = Task(network, width, height, given.scale)
    with tempfile.TemporaryDirectory(prefix="vsr-peers-") as folder:
        clip, short = Path(folder) / "in.mp4", Path(folder) / "short.mp4"
        make_clip(clip, width, height, given.frames)
        make_clip(short, width, height, 3)
        peers: dict[str, dict[str, Any]] = {}
        runs = {}
        for module in (FIRST, *given.only):
            peer: Peer = import_module(f"benchmarks.peers.{module}").PEER
            about: dict[str, Any] = {"name": peer.name, "licence": peer.licence}
            peers[module] = about
            try:
                if reason := peer.left_out():
                    raise Failed(reason)
                python = python_of(peer, given.environments)
                # A first run makes what is kept, and shows whether it works.
                about["packages"] = measured(module, python, task, short, short)["packages"]
            except Failed as failure:
                about["left_out"] = str(failure)
                print(f"{peer.name} is left out: {failure}", file=sys.stderr, flush=True)
                continue
            made, wanted = (short.with_name(f"{name}.mp4") for name in (module, FIRST))
            about["psnr_y_beside_vsr"] = likeness(made, wanted)
            runs[module] = lambda m=module, p=python: _figures(measured(m, p, task, short, clip))
        try:
            rounds = interleaved(runs, given.rounds)
        except Failed as failure:
            raise SystemExit(f"what worked at first failed: {failure}") from failure
        for module in runs:
            peers[module]["fps"] = of(rounds, module, "fps")
            peers[module]["vsr_is_times_as_fast"] = ratio(rounds, FIRST, module, "fps")
    write_result(
        given.out,
        network="Compact 64x16 (realesr-animevideov3)",
        size=[width, height],
        scale=given.scale,
        frames=given.frames,
        encoder=f"libx264 {task.preset}, crf {task.crf}",
        peers=peers,
        rounds=rounds,
    )


def _figures(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != "packages"}


if __name__ == "__main__":
    main()
