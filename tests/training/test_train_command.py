"""`vsr train`: from the command line to weights on disk."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import pytest
from PIL import Image

from vsr.cli.app import run
from vsr.core.errors import FileError
from vsr.training.render import rendered_luma

RECIPE = """
scale = 2
[arch]
name = "chain"
channels = 4
depth = 1
[data]
patch = 8
batch = 2
[train]
steps = 50
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tiny.toml").write_text(RECIPE)
    (tmp_path / "pictures").mkdir()
    Image.fromarray(rendered_luma(1, 64)).save(tmp_path / "pictures" / "1.png")
    return tmp_path


def arguments(folder: Path, *more: str) -> list[str]:
    pictures = str(folder / "pictures")
    return [
        "train",
        str(folder / "tiny.toml"),
        "--data",
        pictures,
        "--val",
        pictures,
        "--out",
        str(folder / "out"),
        *more,
    ]


def test_train_then_go_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments(folder, "--steps", "4", "--seed", "3", "--device", "cpu")) == 0
    printed = capsys.readouterr()
    assert "trained: 4 steps" in printed.out
    assert "pictures" in printed.out
    assert "100%" in printed.err
    facts = json.loads((folder / "out" / "train.json").read_text())
    assert (facts["seed"], facts["steps"]) == (3, 4)
    assert facts["psnr"].keys() == {"pictures"}

    assert (
        run(arguments(folder, "--steps", "6", "--seed", "3", "--device", "cpu", "--resume", "--quiet")) == 0
    )
    assert capsys.readouterr() == ("", "")
    assert json.loads((folder / "out" / "train.json").read_text())["steps"] == 6


def test_another_rate_changes_both_optimizers(folder: Path) -> None:
    with (folder / "tiny.toml").open("a") as recipe:
        recipe.write('optimizer = "muon"\nlr = 1e-3\nmuon_lr = 1e-2\n')
    assert run(arguments(folder, "--steps", "1", "--lr", "2e-4", "--device", "cpu", "--quiet")) == 0
    told = json.loads((folder / "out" / "train.json").read_text())["recipe"]["train"]
    assert (told["lr"], told["muon_lr"]) == pytest.approx((2e-4, 2e-3))


def test_another_teacher(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    once = ("--steps", "1", "--device", "cpu", "--quiet", "--teacher")
    assert run(arguments(folder, *once, "nosuch")) == 5
    assert "there is no model 'nosuch'" in capsys.readouterr().err
    assert run(arguments(folder, *once, "bicubic-x2")) == 0
    told = json.loads((folder / "out" / "train.json").read_text())["recipe"]["data"]
    assert told["teacher"] == "bicubic-x2"


def test_no_teacher(folder: Path) -> None:
    recipe = (folder / "tiny.toml").read_text()
    (folder / "tiny.toml").write_text(
        recipe.replace("[data]", '[data]\nteacher = "nosuch"\nhr_scales = [1.4, 1.0]')
    )
    assert run(arguments(folder, "--steps", "1", "--device", "cpu", "--quiet", "--teacher", "")) == 0
    told = json.loads((folder / "out" / "train.json").read_text())["recipe"]["data"]
    assert (told["teacher"], told["hr_scales"]) == ("", [1.0])


@pytest.mark.parametrize("name", ["checkpoint.safetensors", "train.json"])
def test_what_cannot_be_written_is_an_error_of_files(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "out").mkdir()
    (folder / "out" / f"{name}.part").symlink_to(folder / "elsewhere")
    assert run(arguments(folder, "--steps", "1", "--device", "cpu", "--quiet")) == FileError.exit_code
    told = capsys.readouterr().err
    assert f"error: cannot write {folder}/out/{name}.part: Too many levels of symbolic links" in told
    assert not (folder / "elsewhere").exists()


def interrupted(folder: Path, awaited: str, *more: str) -> int:
    """The exit status of a long training that is sent SIGINT once there is `awaited` in `folder`."""

    over = threading.Event()

    def interrupt() -> None:
        while not (folder / awaited).exists():
            if over.wait(0.01):
                return
        os.kill(os.getpid(), signal.SIGINT)

    sender = threading.Thread(target=interrupt)
    sender.start()
    try:
        return run(arguments(folder, "--steps", "1000000", "--device", "cpu", *more))
    finally:
        over.set()
        sender.join()


def test_ctrl_c_leaves_a_checkpoint(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with (folder / "tiny.toml").open("a") as recipe:
        recipe.write("val_every = 64\n")
    assert interrupted(folder, "out/checkpoint.safetensors") == 130
    assert "stopped; --resume continues" in capfd.readouterr().out
    assert (folder / "out" / "checkpoint.safetensors").exists()


def test_ctrl_c_before_anything_is_learnt(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for number in range(2, 40):
        Image.fromarray(rendered_luma(number, 512)).save(folder / "pictures" / f"{number}.png")
    assert interrupted(folder, "out", "--teacher", "quality-x2") == 130
    assert "cancelled" in capfd.readouterr().err
    assert not (folder / "out").exists()


def test_quiet_does_not_silence_what_must_be_seen(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments(folder, "--steps", "2", "--device", "cpu", "--quiet")) == 0
    Image.fromarray(rendered_luma(2, 64)).save(folder / "pictures" / "2.png")
    assert run(arguments(folder, "--steps", "3", "--device", "cpu", "--quiet", "--resume")) == 0
    assert "warning: 2 pictures; the training began with 1" in capsys.readouterr().err
    assert run(arguments(folder, "--steps", "3", "--resume", "--seed", "1")) == 5
    printed = capsys.readouterr().err
    assert "[train] seed (0, now 1)" in printed
    assert "hint: resume with the recipe it was started with" in printed


def test_mistakes_are_one_line_and_a_hint(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments(folder, "--resume")) == 2
    error = capsys.readouterr().err
    assert "error: nothing to resume" in error
    assert "hint:" in error
    assert run(["train", "nosuch", "--data", str(folder), "--out", str(folder / "out")]) == 2
    assert "fast-x2" in capsys.readouterr().err
    assert run(arguments(folder, "--steps", "0")) == 2


def test_a_model_to_begin_with(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arch = "channels = 16\ndepth = 6\nunshuffle = 1\nskip_every = 0\nlinear = 5"
    (folder / "tiny.toml").write_text(RECIPE.replace("channels = 4\ndepth = 1", arch))
    begin = arguments(folder, "--device", "cpu", "--steps", "1")
    assert run([*begin, "--init", "nosuch"]) == 5
    assert "there is no model 'nosuch'" in capsys.readouterr().err
    (folder / "pictures" / "broken.png").write_bytes(b"no picture")
    assert run([*begin, "--init", "nosuch.safetensors"]) == 5
    assert "cannot read nosuch.safetensors" in capsys.readouterr().err  # Seen before the picture.
    (folder / "pictures" / "broken.png").unlink()
    assert run([*begin, "--init", "fast-x2"]) == 0


@pytest.mark.parametrize("option", ["--data", "--out", "--val", "--init", "--vgg"])
def test_an_empty_name_is_no_folder(option: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments(folder, option, "")) == 2
    assert f"'{option}': the name is empty" in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_a_package_of_what_was_trained(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments(folder, "--steps", "2", "--device", "cpu", "--quiet")) == 0
    weights, package = str(folder / "out" / "weights.safetensors"), folder / "tiny-x2"
    assert run(["model", "export", weights, str(package), "--title", "a test"]) == 0
    assert "x2" in capsys.readouterr().out
    picture, larger = str(folder / "pictures" / "1.png"), folder / "larger.png"
    assert run(["upscale", picture, str(larger), "--model", str(package), "-q"]) == 0
    with Image.open(larger) as image:
        assert image.size == (128, 128)
    assert run(["model", "show", str(package)]) == 0
    shown = capsys.readouterr().out
    assert "a test" in shown
    assert "steps: 2" in shown

    assert run(["model", "export", weights, str(package)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run(["model", "export", weights, str(package), "--overwrite"]) == 0
    assert run(["model", "export", weights, str(folder / "pictures"), "--overwrite"]) == 2
    assert (folder / "pictures" / "1.png").exists()
    (folder / "bad.safetensors").write_bytes(b"no weights")
    assert run(["model", "export", str(folder / "bad.safetensors"), str(folder / "bad")]) != 0
    assert "cannot read" in capsys.readouterr().err
    assert not (folder / "bad").exists()
