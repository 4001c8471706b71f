"""Other people's networks as packages: what is found out of them, and that they compute the same on every kind of plane."""

from __future__ import annotations

import math
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from vsr.backends.choose import probe_backends
from vsr.cli import main
from vsr.convert.export import export_model, export_onnx
from vsr.convert.foreign import examine, load_onnx
from vsr.convert.importing import import_model
from vsr.core.color import ChromaLocation, Color, Range
from vsr.core.errors import ConfigError, WeightsError
from vsr.core.frame import Frame, PixelFormat
from vsr.evaluation.metrics import psnr
from vsr.models.registry import find_model
from vsr.upscale.upscaler import Upscaler


def saved(
    path: Path, channels: int = 3, scale: int = 2, *, peak: float = 1.0, unshuffle: int = 1, fixed: int = 0,
    whole: bool = False, gain: float = 0.05, opset: int = 13,
) -> Path:  # fmt: skip
    """A network with drawn weights: the picture repeated, and a small residual of two convolutions."""
    rng = np.random.default_rng(0)
    width, packed = 8, channels * unshuffle**2
    out = channels * (scale * unshuffle) ** 2
    tensors = {
        "w0": rng.normal(0, 1 / (3 * packed**0.5), (width, packed, 3, 3)),
        "b0": rng.normal(0, 0.1, width) * peak,
        "w1": rng.normal(0, gain, (out, width, 3, 3)),
        "scales": np.array([1, 1, scale, scale]),
    }
    add = helper.make_node
    head = "x" if unshuffle == 1 else "packed"
    nodes = [add("SpaceToDepth", ["x"], ["packed"], blocksize=unshuffle)] if unshuffle > 1 else []
    nodes += [
        add("Conv", [head, "w0", "b0"], ["f0"], pads=[1, 1, 1, 1]),
        add("LeakyRelu", ["f0"], ["f1"], alpha=0.2),
    ]
    if whole:
        nodes += [add("GlobalAveragePool", ["f1"], ["mean"]), add("Sub", ["f1", "mean"], ["f2"])]
    nodes += [
        add("Conv", ["f2" if whole else "f1", "w1"], ["f3"], pads=[1, 1, 1, 1]),
        add("DepthToSpace", ["f3"], ["detail"], blocksize=scale * unshuffle, mode="CRD"),
        add("Resize", ["x", "", "scales"], ["base"], mode="nearest"),
        add("Add", ["detail", "base"], ["y"]),
    ]
    side: list[Any] = [fixed, fixed] if fixed else ["h", "w"]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, channels, *side])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, channels, None, None])],
        [numpy_helper.from_array(t.astype(np.float32), name) for name, t in tensors.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, {"domain": "rgb", "scale": 2, "peak": 1, "size_multiple": 1, "halo": 2, "whole": False}),
        ({"channels": 1, "scale": 3}, {"domain": "luma", "scale": 3, "halo": 2}),
        ({"peak": 255.0, "scale": 4}, {"scale": 4, "peak": 255}),
        ({"unshuffle": 2}, {"size_multiple": 2, "halo": 5}),
        ({"unshuffle": 3}, {"size_multiple": 3, "halo": 8}),
        ({"unshuffle": 5}, {"size_multiple": 5}),
        ({"whole": True}, {"whole": True, "halo": 64}),
        ({"fixed": 48}, {"size_multiple": 1}),
    ],
)
def test_what_running_it_tells(settings: dict[str, Any], wanted: dict[str, Any], tmp_path: Path) -> None:
    facts = examine(load_onnx(saved(tmp_path / "net.onnx", **settings)))
    assert {key: getattr(facts, key) for key in wanted} == wanted
    channels, scale = settings.get("channels", 3), wanted.get("scale", 2)
    factor = settings.get("unshuffle", 1)
    assert facts.macs_per_pixel == 9 * 8 * (channels + channels * scale**2) if factor == 1 else True
    assert facts.parameters > 8 * 9 * channels


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_that_are_left_open_are_found(channels: int, tmp_path: Path) -> None:
    model = onnx.load(saved(tmp_path / "net.onnx", channels=channels))
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "channels"
    onnx.save(model, tmp_path / "open.onnx")
    assert examine(load_onnx(tmp_path / "open.onnx")).domain == ("luma" if channels == 1 else "rgb")


def reference(file: Path, rgb: np.ndarray) -> np.ndarray:
    """R, G, B [3, h, w] in 0..1 through the network itself."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    result: np.ndarray = session.run(None, {"x": rgb[None].astype(np.float32)})[0][0]
    return result


MATRIX = {"kr": 0.299, "kb": 0.114}


def to_yuv(rgb: np.ndarray, *, full: bool) -> np.ndarray:
    """Codes as floats, BT.601, 8 bits."""
    kr, kb = MATRIX["kr"], MATRIX["kb"]
    luma = kr * rgb[0] + (1 - kr - kb) * rgb[1] + kb * rgb[2]
    cb, cr = (rgb[2] - luma) / (2 * (1 - kb)), (rgb[0] - luma) / (2 * (1 - kr))
    black, excursion, chroma = (0, 255, 255) if full else (16, 219, 224)
    return np.stack([black + excursion * luma, 128 + chroma * cb, 128 + chroma * cr])


def smooth(height: int, width: int) -> np.ndarray:
    """A picture whose chroma survives being halved."""
    rows, columns = np.mgrid[0:height, 0:width] / 24
    waves = [0.5 + 0.3 * np.sin(rows + n) * np.cos(columns * (1 + 0.3 * n)) for n in range(3)]
    return np.stack(waves)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("shift", "location"), [((0, 0), None), ((1, 1), "LEFT"), ((1, 1), "CENTER"),
                                                 ((1, 1), "TOPLEFT"), ((1, 0), "LEFT")])  # fmt: skip
def test_yuv_goes_through_rgb_and_back(
    shift: tuple[int, int], location: str | None, full: bool, tmp_path: Path
) -> None:
    file = saved(tmp_path / "net.onnx", gain=0.002)
    spec = import_model(file, tmp_path / "net-x2")
    height, width = 40, 56
    rgb = smooth(height, width)
    yuv = to_yuv(rgb, full=full)
    chosen = ChromaLocation[location] if location else None
    planes = [yuv[0], *(_sampled(plane, shift, location) for plane in yuv[1:])]
    color = Color(
        range=Range.FULL if full else Range.LIMITED, **({"chroma_location": chosen} if chosen else {})
    )
    frame = Frame(
        [np.rint(p).astype(np.uint8) for p in planes], width, height, PixelFormat("yuv", 8, shift), color
    )
    with Upscaler(str(spec.folder)) as upscaler:
        found = [np.asarray(plane).astype(float) for plane in upscaler.upscale(frame).planes]
    wanted = to_yuv(reference(file, rgb), full=full)
    inner = (slice(8, -8), slice(8, -8))
    assert np.abs(found[0] - wanted[0])[inner].mean() < 1
    assert abs((found[0] - wanted[0]).mean()) < 0.3
    for plane, whole in zip(found[1:], wanted[1:], strict=True):
        expected = _sampled(whole, shift, location)
        assert plane.shape == expected.shape
        assert np.abs(plane - expected)[inner].mean() < 0.6
        assert abs((plane - expected)[inner].mean()) < 0.25


def _sampled(plane: np.ndarray, shift: tuple[int, int], location: str | None) -> np.ndarray:
    """Chroma where its samples lie: on every second luma sample, with half of it from the neighbours, or between two."""
    for axis, factor in ((1, shift[0]), (0, shift[1])):
        if not factor:
            continue
        turned = plane.T if axis == 1 else plane
        if location == "TOPLEFT" or (location == "LEFT" and axis == 1):
            padded = np.pad(turned, ((1, 1), (0, 0)), mode="edge")
            turned = (padded[:-2] / 4 + padded[1:-1] / 2 + padded[2:] / 4)[::2]
        else:
            turned = (turned[::2] + turned[1::2]) / 2
        plane = turned.T if axis == 1 else turned
    return plane


@pytest.mark.parametrize(("bits", "unshuffle"), [(8, 2), (10, 2), (8, 3)])
def test_rgb_gray_and_odd_sizes(bits: int, unshuffle: int, tmp_path: Path) -> None:
    file = saved(tmp_path / "net.onnx", unshuffle=unshuffle)
    spec = import_model(file, tmp_path / "net-x2")
    assert spec.size_multiple == math.lcm(unshuffle, 4)
    most = (1 << bits) - 1
    rgb = smooth(43, 57)
    kind = "u1" if bits == 8 else "<u2"
    r, g, b = (np.rint(plane * most).astype(kind) for plane in rgb)
    below, right = -43 % spec.size_multiple, -57 % spec.size_multiple
    padded = np.pad(np.stack([r, g, b]) / most, ((0, 0), (0, below), (0, right)), mode="edge")
    wanted = reference(file, padded)[:, : 2 * 43, : 2 * 57] * most
    with Upscaler(str(spec.folder)) as upscaler:
        frame = Frame([plane.view("u1") for plane in (g, b, r)], 57, 43, PixelFormat("rgb", bits))
        found = [np.asarray(plane).view(kind).astype(float) for plane in upscaler.upscale(frame).planes]
        gray = Frame([g.view("u1")], 57, 43, PixelFormat("gray", bits), Color(range=Range.FULL))
        (grey,) = upscaler.upscale(gray).planes
    for plane, at in zip(found, (1, 2, 0), strict=True):
        assert np.abs(plane - np.clip(wanted[at], 0, most)).max() <= 1
    assert (
        psnr(
            (np.asarray(grey).view(kind) >> (bits - 8)).astype(np.uint8), _doubled(g >> (bits - 8)), border=2
        )
        > 15
    )


def _doubled(plane: np.ndarray) -> np.ndarray:
    return plane.repeat(2, 0).repeat(2, 1).astype(np.uint8)


@pytest.mark.parametrize("kind", ["rgb", "yuv"])
def test_every_backend_makes_the_same_of_it(kind: Any, tmp_path: Path) -> None:
    spec = import_model(saved(tmp_path / "net.onnx", unshuffle=2, gain=0.03), tmp_path / "net-x2")
    noise = np.random.default_rng(0).integers(0, 256, (3, 36, 52)).astype(np.uint8)
    halved = (1, 1) if kind == "yuv" else (0, 0)
    planes = [noise[0], *(plane[:: 1 + halved[1], :: 1 + halved[0]].copy() for plane in noise[1:])]
    frame = Frame(planes, 52, 36, PixelFormat(kind, 8, halved))
    found = {}
    for backend in (name for name, found in probe_backends().items() if found.usable):
        with Upscaler(str(spec.folder), backend=backend) as upscaler:
            found[backend] = [np.asarray(plane).astype(int) for plane in upscaler.upscale(frame).planes]
    for others in found.values():
        for one, other in zip(found["onnxruntime"], others, strict=True):
            assert np.abs(one - other).max() <= 1


@pytest.mark.parametrize("kind", ["rgb", "yuv"])
def test_tiles_of_an_imported_network_are_exact(kind: Any, tmp_path: Path) -> None:
    spec = import_model(saved(tmp_path / "net.onnx", unshuffle=4, gain=0.03), tmp_path / "net-x2")
    noise = np.random.default_rng(0).integers(0, 256, (3, 120, 132)).astype(np.uint8)
    halved = (2, 0) if kind == "yuv" else (0, 0)  # 4:1:1 reaches furthest
    planes = [noise[0], *(plane[:, :: 1 << halved[0]].copy() for plane in noise[1:])]
    frame = Frame(planes, 132, 120, PixelFormat(kind, 8, halved))
    with Upscaler(str(spec.folder), tile=0) as whole, Upscaler(str(spec.folder), tile=64) as tiled:
        for one, other in zip(whole.upscale(frame).planes, tiled.upscale(frame).planes, strict=True):
            assert np.abs(np.asarray(one).astype(int) - np.asarray(other)).max() <= 1


def test_our_own_network_comes_back_the_same(tmp_path: Path) -> None:
    fast = find_model("fast")
    file = export_onnx(fast.folder, tmp_path / "fast.onnx")
    spec = import_model(file.path, tmp_path / "again")
    assert (spec.scale, spec.domain, spec.size_multiple, spec.macs_per_pixel) == (2, "luma", 1, 14_644)
    assert spec.halo <= fast.halo + 2


def test_its_tensors_may_be_called_as_ours_are(tmp_path: Path) -> None:
    model = onnx.load(saved(tmp_path / "net.onnx", channels=1, peak=255.0))
    ours = {
        "w0": "bias",
        "w1": "gain",
        "f0": "residual",
        "f1": "packed",
        "f3": "out",
        "detail": "in",
        "base": "peak",
    }
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [ours.get(name, name) for name in names]
    for tensor in model.graph.initializer:
        tensor.name = ours.get(tensor.name, tensor.name)
    onnx.save(model, tmp_path / "named.onnx")
    assert import_model(tmp_path / "named.onnx", tmp_path / "named-x2").domain == "luma"


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(saved(tmp_path / "net.onnx"))
    assert main(["model", "import", file, str(tmp_path / "net-x2"), "--licence", "MIT"]) == 0
    assert "x2 on rgb" in capsys.readouterr().out
    assert main(["model", "show", str(tmp_path / "net-x2")]) == 0
    assert "MIT" in capsys.readouterr().out
    assert main(["model", "import", file, str(tmp_path / "net-x2")]) != 0
    assert "--overwrite" in capsys.readouterr().err
    assert main(["model", "import", file, str(tmp_path / "net-x2"), "--overwrite"]) == 0


def test_what_cannot_be_used_is_refused_in_words(tmp_path: Path) -> None:
    target = tmp_path / "package"
    (tmp_path / "text.onnx").write_text("no network")
    model = onnx.load(saved(tmp_path / "net.onnx"))
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 4
    onnx.save(model, tmp_path / "four.onnx")
    half = helper.make_graph(
        [helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])],
        "half",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, "h", "w"])],
    )
    onnx.save(
        helper.make_model(half, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
        tmp_path / "half.onnx",
    )
    for name, words in (
        ("none", "cannot read .*: No such file"),
        ("text", "not a whole"),
        ("four", "one or three channels"),
        ("half", "times as large"),
    ):
        with pytest.raises(WeightsError, match=words):
            import_model(tmp_path / f"{name}.onnx", target)
    (tmp_path / "evil.PTH").write_bytes(pickle.dumps(print))
    with pytest.raises(WeightsError, match=r"evil.PTH holds code beside tensors, and vsr never executes it"):
        import_model(tmp_path / "evil.PTH", target)
    target.mkdir()
    with pytest.raises(ConfigError, match="exists"):
        import_model(tmp_path / "net.onnx", target)
    assert not list(target.iterdir())


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_no_numbers_are_named(value: float, tmp_path: Path) -> None:
    model = onnx.load(saved(tmp_path / "net.onnx"))
    weights = numpy_helper.to_array(model.graph.initializer[2]).copy()
    weights[0, 0, 0, 0] = value
    model.graph.initializer[2].CopyFrom(numpy_helper.from_array(weights, "w1"))
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(WeightsError, match=r"net.onnx: w1 has values that are not finite"):
        import_model(tmp_path / "net.onnx", tmp_path / "package")


@pytest.mark.parametrize("make", [import_model, export_model])
def test_what_would_be_read_without_end_is_refused(make: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    for source in (tmp_path / "pipe.pth", Path("/dev/zero")):
        with pytest.raises(WeightsError, match=f"{source} is not a regular file"):
            make(source, tmp_path / "package")


FLOAT = TensorProto.FLOAT


@pytest.mark.parametrize(
    ("shape", "out", "kind", "words"),
    [
        ([None, 3, 224, 224], [None, 3], FLOAT, r"gives \['\?', 3\], not pictures"),
        ([1, 3, "h", "w"], [1, "h", "w"], FLOAT, r"gives \[1, 'h', 'w'\], not pictures"),
        ([3, "h", "w"], [3, "h", "w"], FLOAT, r"takes \[3, 'h', 'w'\], not pictures"),
        ([1, "h", "w", 3], [1, "h", "w", 3], FLOAT, "takes .*, channels last"),
        ([1, 3, "h", "w"], [1, 3, "h", "w"], TensorProto.FLOAT16, "takes float16, not float32"),
        ([1, 3, "h", "w"], [1, 3, "h", "w"], TensorProto.UINT8, "takes uint8, not float32"),
    ],
)
def test_what_takes_or_gives_no_pictures_is_told_why(
    shape: list[Any], out: list[Any], kind: int, words: str, tmp_path: Path
) -> None:
    ports = [helper.make_tensor_value_info(name, kind, dims) for name, dims in (("x", shape), ("y", out))]
    node = helper.make_node("Identity", ["x"], ["y"])
    graph = helper.make_graph([node], "net", ports[:1], ports[1:])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
        tmp_path / "n.onnx",
    )
    with pytest.raises(WeightsError, match=f"n.onnx {words}") as error:
        load_onnx(tmp_path / "n.onnx")
    assert str(error.value.hint).startswith("export it")


def test_a_network_of_one_size_says_so(tmp_path: Path) -> None:
    """Reshaped in its midst to what 48x48 pixels make."""
    model = onnx.load(saved(tmp_path / "net.onnx", fixed=48))
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 8, 48, 48]), "fixed"))
    model.graph.node[2].input[0] = "f2"
    model.graph.node.insert(2, helper.make_node("Reshape", ["f1", "fixed"], ["f2"]))
    onnx.save(model, tmp_path / "fixed.onnx")
    with pytest.raises(
        WeightsError, match=r"fixed.onnx: it does not run on 64x64 pixels: .*Reshape"
    ) as error:
        import_model(tmp_path / "fixed.onnx", tmp_path / "package")
    assert "pictures of any size" in str(error.value.hint)
    assert "\n" not in error.value.message
