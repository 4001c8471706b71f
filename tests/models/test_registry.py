"""Names, families and packages."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from vsr.cli import main
from vsr.core.color import ChromaLocation, Color
from vsr.core.errors import UnknownModelError, WeightsError
from vsr.core.frame import PixelFormat
from vsr.models import GraphLayout, find_model, shipped_models
from vsr.models.registry import package_folder
from vsr.models.spec import ALL_LAYOUTS


def test_shipped_packages_are_whole_small_and_have_a_card() -> None:
    for spec in shipped_models():
        for layout in ALL_LAYOUTS:
            assert spec.graph(layout).is_file()
        assert spec.card.startswith(f"# {spec.id}\n")
        assert spec.licence == "Apache-2.0"
        assert sum(path.stat().st_size for path in spec.folder.iterdir()) < 3_000_000, spec.id


@pytest.mark.parametrize(
    ("name", "most_macs"),
    [
        ("fast-x2", 16_000),
        ("balanced-x2", 60_000),
        ("balanced-x4", 80_000),
        ("quality-x2", 700_000),
        ("quality-x4", 700_000),
        ("anime-x2", 270_000),
        ("restore-x2", 700_000),
        ("restore-x4", 700_000),
    ],
)
def test_networks_keep_their_budget(name: str, most_macs: int) -> None:
    spec = find_model(name)
    assert 0 < spec.macs_per_pixel <= most_macs
    for figure in ("set5_psnr", "set14_psnr"):
        assert f"{spec.quality[figure]:.2f}" in spec.card, "the card quotes what the spec says"
    assert re.search(r"^vsr train ", spec.card, re.MULTILINE)


def test_a_family_picks_by_scale() -> None:
    assert [find_model("bicubic", scale).id for scale in (1.5, 2, 2.5, 4, 6)] == [
        "bicubic-x2",
        "bicubic-x2",
        "bicubic-x3",
        "bicubic-x4",
        "bicubic-x4",
    ]


def test_auto_goes_by_scale_kind_of_input_and_device() -> None:
    assert find_model("auto").id == "balanced-x2"
    assert find_model("auto", 4).id == "balanced-x4"
    assert find_model("auto", use="picture").id == "quality-x2"
    assert find_model("auto", 4, use="picture").id == "quality-x4"
    assert find_model("auto", on_gpu=True).id == "quality-x2"


def test_a_folder_is_a_model_too(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(find_model("bicubic").folder, folder)
    assert find_model(str(folder)).folder == folder
    (folder / "model.toml").write_text('id = "half"\n')
    with pytest.raises(WeightsError, match=r"model\.toml"):
        find_model(str(folder))
    (folder / "model.toml").unlink()
    with pytest.raises(WeightsError):
        find_model(str(folder))


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("id", "5"),
        ("scale", "0"),
        ("scale", '"2"'),
        ("scale", "2.0"),
        ("scale", "true"),
        ("scale", "9" * 20),
        ("domain", '"cmyk"'),
        ("size_multiple", "0"),
        ("size_multiple", "1000000"),
        ("halo", "-5"),
        ("parameters", "-1"),
        ("precision", '"foo"'),
        ("precision", "[]"),
        ("network", "1"),
        ("calibration", '{ "net/act" = [1.0] }'),
        ("calibration", '{ "net/act" = [nan, 1.0] }'),
        ("calibration", "1"),
    ],
)
def test_what_a_spec_cannot_say_is_named(entry: str, value: str, tmp_path: Path) -> None:
    facts = dict(re.findall(r"^(\w+) = (.*)$", _bicubic_toml().split("\n\n")[0], re.MULTILINE))
    facts[entry] = value
    (tmp_path / "model.toml").write_text("\n".join(f"{key} = {text}" for key, text in facts.items()))
    with pytest.raises(WeightsError, match=rf"model\.toml is not a whole model spec: {entry} ") as error:
        find_model(str(tmp_path))
    assert "\n" not in error.value.message


def _bicubic_toml() -> str:
    return (find_model("bicubic").folder / "model.toml").read_text()


def test_packages_of_odd_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VSR_MODELS", str(tmp_path))
    for name, spec in (("deep", "a = " + "[" * 50_000), ("mine", "\ufeff" + _bicubic_toml())):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.toml").write_text(spec, encoding="utf-8")
    (tmp_path / "mine" / "card.md").write_bytes(b"# caf\xe9\n")
    assert main(["model", "list"]) == 0
    assert main(["model", "show", "mine"]) == 0
    assert "# caf\ufffd" in capsys.readouterr().out
    assert main(["model", "show", "deep"]) == 5
    assert "nested too deeply" in capsys.readouterr().err


def test_a_model_of_ones_own_goes_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VSR_MODELS", str(tmp_path / "models"))
    file, fast = str(tmp_path / "net.onnx"), str(find_model("fast").folder)
    assert main(["model", "export", fast, file]) == 0
    assert main(["model", "import", file, "net-x2"]) == 0
    assert find_model("net-x2").folder == tmp_path / "models" / "net-x2"
    assert main(["model", "list"]) == 0
    assert "net-x2" in capsys.readouterr().out
    with pytest.raises(UnknownModelError) as raised:
        find_model("netx2")
    assert "net-x2" in raised.value.hint
    assert main(["model", "import", file, "fast"]) == 2
    monkeypatch.delenv("VSR_MODELS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert package_folder("a-x2") == tmp_path / "data" / "vsr" / "models" / "a-x2"
    assert package_folder("./a-x2") == Path("a-x2")


@pytest.mark.parametrize("name", ["", "nothing", "/no/such/folder", "fast-x3"])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(UnknownModelError) as error:
        find_model(name)
    assert "vsr model list" in str(error.value.hint)


@pytest.mark.parametrize(
    ("log2_chroma", "location", "siting"),
    [
        ((1, 1), ChromaLocation.UNSPECIFIED, "left"),
        ((1, 1), ChromaLocation.CENTER, "center"),
        ((1, 1), ChromaLocation.TOPLEFT, "topleft"),
        ((1, 0), ChromaLocation.TOPLEFT, "left"),
        ((0, 0), ChromaLocation.LEFT, "center"),
    ],
)
def test_chroma_siting(log2_chroma: tuple[int, int], location: ChromaLocation, siting: str) -> None:
    layout = GraphLayout.of(PixelFormat("yuv", 10, log2_chroma), Color(chroma_location=location))
    assert layout.name == f"yuv16-{siting}"
