"""The memory of a stream: each frame gets the last one's planes and result, whatever else the network does meanwhile."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from tests.support.memory_network import moving, write_memory_network
from tests.support.usable import backends
from vsr.backends.base import out_of_memory
from vsr.backends.choose import load_backend
from vsr.backends.openvino import OpenVinoEngine
from vsr.core.color import Color
from vsr.core.frame import Frame, PixelFormat, Reset, SemiPlanar
from vsr.models import GraphLayout, ModelSpec
from vsr.upscale.graph_inputs import small_inputs
from vsr.upscale.on_device import LeavesDevice
from vsr.upscale.planes import Kind
from vsr.upscale.upscaler import Upscaler

GRAY = PixelFormat("gray")
WIDTH, HEIGHT = 40, 32


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    return write_memory_network(tmp_path_factory.mktemp("packages") / "memory-x2")


@pytest.fixture
def upscaler(spec: ModelSpec) -> Iterable[Upscaler]:
    with Upscaler(str(spec.folder)) as made:
        yield made


def frames(
    count: int, format: PixelFormat = GRAY, seed: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)
) -> list[Frame]:
    return moving(count, format, seed, size)


def lumas(found: Iterable[Frame]) -> list[np.ndarray]:
    return [np.array(frame.planes[0]) for frame in found]


def through(upscaler: Upscaler, given: Iterable[Frame], **options: Any) -> list[Frame]:
    with upscaler.sequence(**options) as sequence:
        return list(sequence.stream(given))


def assert_equal(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> None:
    assert len(found) == len(wanted)
    for number, (one, other) in enumerate(zip(found, wanted, strict=True)):
        np.testing.assert_array_equal(one, other, err_msg=f"frame {number}")


def by_hand(spec: ModelSpec, given: Sequence[Frame]) -> list[list[np.ndarray]]:
    """The planes of each frame by the graph alone, the planes and results of one run put into the next one."""
    kind = Kind.of(given[0])
    layout = GraphLayout.of(kind.format, kind.color)
    session = onnxruntime.InferenceSession(str(spec.graph(layout)), providers=["CPUExecutionProvider"])
    small, wanted = small_inputs(kind.format, kind.color), {port.name for port in session.get_inputs()}
    memory: dict[str, Any] = {"keep": np.zeros(1, np.float32)}
    results = []
    for frame in given:
        planes = {
            name: np.asarray(plane)[None, None]
            for name, plane in zip(layout.plane_names, frame.planes, strict=True)
        }
        for name in layout.luma_names:
            memory.setdefault(f"{name}_before", planes[name] * 0)
            memory.setdefault(f"{name}_out_before", planes[name].repeat(2, 2).repeat(2, 3) * 0)
        inputs = {**small, **planes, **memory}
        found = session.run(None, {name: inputs[name] for name in wanted})
        large = dict(zip((port.name for port in session.get_outputs()), found, strict=True))
        results.append([large[f"{name}_out"][0, 0] for name in layout.plane_names])
        memory = {"keep": np.ones(1, np.float32)}
        memory |= {f"{name}_before": planes[name] for name in layout.luma_names}
        memory |= {f"{name}_out_before": large[f"{name}_out"] for name in layout.luma_names}
    return results


@pytest.mark.parametrize("backend", backends())
@pytest.mark.parametrize(
    "format",
    [
        GRAY,
        PixelFormat("yuv", 8, (1, 1)),
        PixelFormat("yuv", 10, (1, 0)),
        PixelFormat("rgb", 8),
        PixelFormat("rgb", 16),
    ],
    ids=lambda format: format.name,
)
def test_each_frame_gets_the_planes_and_the_result_of_the_last(
    backend: str, format: PixelFormat, spec: ModelSpec
) -> None:
    given = frames(6, format)
    with Upscaler(str(spec.folder), backend=backend) as upscaler:
        found = through(upscaler, given)
    dtype = "u1" if format.bits == 8 else "<u2"
    assert [frame.index for frame in found] == list(range(6))
    for frame, wanted in zip(found, by_hand(spec, given), strict=True):
        for plane, same in zip(frame.planes, wanted, strict=True):
            apart = np.abs(
                np.asarray(plane).copy().view(dtype).astype(int) - same.copy().view(dtype).astype(int)
            )
            assert apart.max() <= 1
    luma = [np.array(wanted[0]) for wanted in by_hand(spec, given)]
    assert (
        sum(map(np.count_nonzero, (a != b for a, b in zip(luma, lumas(found), strict=True))))
        <= luma[0].size // 500
    )


@pytest.mark.parametrize("states", [["input"], ["output"]])
def test_a_network_gets_only_its_part_of_the_last_frame(states: Any, tmp_path: Path) -> None:
    spec = write_memory_network(tmp_path / "part", states=states)
    given = frames(4)
    with Upscaler(str(spec.folder)) as upscaler:
        assert_equal(lumas(through(upscaler, given)), [planes[0] for planes in by_hand(spec, given)])


@pytest.mark.parametrize("backend", backends())
def test_without_keep_the_memory_does_not_matter(backend: str, spec: ModelSpec) -> None:
    layout, random = GraphLayout("gray", 1), np.random.default_rng(0)
    inputs: dict[str, Any] = {
        **small_inputs(GRAY, Color()),
        "y": np.asarray(frames(1)[0].planes[0])[None, None],
    }
    with load_backend(backend).compile(spec, layout, {"y": inputs["y"].shape}) as engine:
        found = [
            engine.run(
                {
                    **inputs,
                    "y_before": random.integers(0, 256, (1, 1, HEIGHT, WIDTH), np.uint8),
                    "y_out_before": random.integers(0, 256, (1, 1, 2 * HEIGHT, 2 * WIDTH), np.uint8),
                    "keep": np.full(1, keep, np.float32),
                }
            )["y_out"]
            for keep in (0, 0, 1)
        ]
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()


def test_the_arrays_of_one_run_are_inputs_of_the_next_without_a_copy(
    upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, copy_in = OpenVinoEngine.run, OpenVinoEngine._copy_in
    runs: list[dict[str, np.ndarray]] = []

    def seen(engine: OpenVinoEngine, inputs: Any) -> Any:
        found = run(engine, inputs)
        runs.append({**inputs, **found})
        return found

    def shared(engine: OpenVinoEngine, request: Any, inputs: Any) -> Any:
        handed = copy_in(engine, request, inputs)
        for name in ("y_before", "y_out_before"):
            assert sum(np.shares_memory(inputs[name], array) for array in handed) == 1
        return handed

    monkeypatch.setattr(OpenVinoEngine, "run", seen)
    monkeypatch.setattr(OpenVinoEngine, "_copy_in", shared)
    through(upscaler, frames(4))
    for last, now in itertools.pairwise(runs):
        assert now["y_before"] is last["y"]
        assert now["y_out_before"] is last["y_out"]


@pytest.mark.parametrize("why", Reset)
def test_a_frame_that_begins_a_sequence_is_as_the_first(why: Reset, upscaler: Upscaler) -> None:
    given = frames(7)
    given[4].starts = why
    found = through(upscaler, given)
    assert_equal(lumas(found), lumas(through(upscaler, given[:4])) + lumas(through(upscaler, given[4:])))
    assert [frame.starts for frame in found] == [Reset.START, None, None, None, why, None, None]
    assert given[0].starts is None, "the caller's frames stay as they are"


@pytest.mark.parametrize("kind", [GRAY, PixelFormat("yuv", 10, (1, 1))], ids=lambda kind: kind.name)
def test_a_cut_begins_a_sequence(kind: PixelFormat, upscaler: Upscaler) -> None:
    one, other = frames(4, kind), frames(3, kind, seed=1)
    found = through(upscaler, one + other)
    assert_equal(lumas(found), lumas(through(upscaler, one)) + lumas(through(upscaler, other)))
    assert [frame.starts for frame in found] == [Reset.START, None, None, None, Reset.CUT, None, None]


def test_the_caller_begins_a_sequence(upscaler: Upscaler) -> None:
    given = frames(6)
    with upscaler.sequence() as sequence:
        found = [frame for one in given[:3] for frame in sequence.push(one)]
        assert sequence.flush() == []
        sequence.reset(Reset.NETWORK)
        found += sequence.stream(given[3:])
    assert_equal(lumas(found), lumas(through(upscaler, given[:3])) + lumas(through(upscaler, given[3:])))
    assert [frame.starts for frame in found] == [Reset.START, None, None, Reset.NETWORK, None, None]


def test_frames_of_another_size_or_colour_begin_a_sequence(upscaler: Upscaler) -> None:
    pieces = [
        frames(3),
        frames(3, size=(24, 48), seed=1),
        frames(3, PixelFormat("rgb"), seed=2),
        frames(3, seed=3),
    ]
    found = through(upscaler, [frame for piece in pieces for frame in piece])
    assert_equal(lumas(found), [luma for piece in pieces for luma in lumas(through(upscaler, piece))])
    assert [frame.starts for frame in found] == [Reset.START, None, None, *[Reset.SIZE, None, None] * 3]


def test_streams_that_share_an_engine_know_nothing_of_each_other(upscaler: Upscaler) -> None:
    one, other = frames(8), frames(8, seed=1)
    alone = [lumas(through(upscaler, one)), lumas(through(upscaler, other))]
    with upscaler.sequence() as first, upscaler.sequence() as second:
        turns = [(first.push(a), second.push(b)) for a, b in zip(one, other, strict=True)]
    assert_equal(lumas(frame for turn, _ in turns for frame in turn), alone[0])
    assert_equal(lumas(frame for _, turn in turns for frame in turn), alone[1])
    together: dict[int, list[np.ndarray]] = {}
    threads = [
        threading.Thread(
            target=lambda n=n, given=given: together.update({n: lumas(through(upscaler, given))})
        )
        for n, given in enumerate((one, other))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(2):
        assert_equal(together[number], alone[number])
    assert len(upscaler.network.compiled) == 1


def test_frames_stay_in_order_whatever_may_be_in_flight(
    upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = frames(9)
    wanted = lumas(through(upscaler, given))
    monkeypatch.setattr(type(upscaler._backend), "in_flight", 4)
    monkeypatch.setattr(type(upscaler._backend), "batch", 4)
    assert (upscaler.in_flight, upscaler.batch(WIDTH, HEIGHT)) == (1, 1)
    assert_equal(lumas(through(upscaler, given)), wanted)
    assert_equal(lumas(through(upscaler, given, batch=4, in_flight=3)), wanted)
    assert_equal(
        [np.asarray(one) for one in upscaler.stream(np.asarray(frame.planes[0]) for frame in given)], wanted
    )


def test_what_is_no_frame_of_the_stream_leaves_its_memory_alone(upscaler: Upscaler) -> None:
    """Single pictures, batches of them, warming up and the steps that `vsr bench` times."""
    given, other = frames(4), frames(3, seed=1)
    wanted = lumas(through(upscaler, given))
    fresh = lumas(through(upscaler, [frame])[0] for frame in other)
    with upscaler.sequence() as sequence:
        found = list(sequence.push(given[0]))
        assert_equal(lumas(upscaler.upscale(frame) for frame in other), fresh)
        found += sequence.push(given[1])
        assert_equal(lumas(upscaler.upscale_batch(other)), fresh)
        found += sequence.push(given[2])
        upscaler.make_ready(Kind.of(given[0]))
        with upscaler.network.steps(list(other[0].planes), Kind.of(other[0])) as steps:
            for step in steps.values():
                step()
        found += sequence.push(given[3])
    assert_equal(lumas(found), wanted)


def test_tiles_see_the_memory_of_the_whole_picture(spec: ModelSpec, upscaler: Upscaler) -> None:
    for kind in (GRAY, PixelFormat("rgb", 10)):
        given = frames(5, kind, size=(175, 161))
        with Upscaler(str(spec.folder), tile=16) as tiled:
            found, wanted = through(tiled, given), through(upscaler, given)
            assert len(tiled.network.compiled) == 1
            assert tiled.network.compiled != upscaler.network.compiled
        for one, other in zip(found, wanted, strict=True):
            assert_equal(
                [np.asarray(plane) for plane in one.planes], [np.asarray(plane) for plane in other.planes]
            )


def test_sides_that_are_padded_are_remembered_as_they_went_in(tmp_path: Path) -> None:
    spec = write_memory_network(tmp_path / "padded", size_multiple=16)
    given = frames(4, size=(37, 21))
    wide = [
        replace(
            frame,
            planes=[np.pad(np.asarray(frame.planes[0]), ((0, 11), (0, 11)), "edge")],
            width=48,
            height=32,
        )
        for frame in given
    ]
    with Upscaler(str(spec.folder)) as upscaler:
        found, padded = lumas(through(upscaler, given)), lumas(through(upscaler, wide))
    assert_equal(found, [plane[:42, :74] for plane in padded])


def test_a_run_that_is_repeated_for_want_of_memory_counts_once(
    spec: ModelSpec, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = frames(5, size=(300, 144))
    wanted = lumas(through(upscaler, given))
    run, number = OpenVinoEngine.run, itertools.count(1)

    def short(engine: OpenVinoEngine, inputs: Any) -> Any:
        now = next(number)
        found = run(engine, inputs)
        if now in (3, 5):  # The third frame, then the second of its tiles.
            raise out_of_memory()
        return found

    monkeypatch.setattr(OpenVinoEngine, "run", short)
    with Upscaler(str(spec.folder), tile=0) as another:
        found = lumas(through(another, given))
        assert another.notes[-2:] == [
            "not enough memory for a whole frame; continuing with tiles of 256",
            "not enough memory for tiles of 256; continuing with tiles of 128",
        ]
    assert_equal(found, wanted)


def test_planes_that_the_caller_uses_again_are_not_what_is_remembered(upscaler: Upscaler) -> None:
    given = [np.asarray(frame.planes[0]) for frame in frames(5)]
    wanted = lumas(through(upscaler, frames(5)))
    buffer = np.empty((HEIGHT, WIDTH), np.uint8)

    def one_buffer() -> Iterable[np.ndarray]:
        for plane in given:
            buffer[:] = plane
            yield buffer

    found = []
    for large in upscaler.stream(one_buffer()):
        found.append(large.copy())
        large[:] = buffer[:] = 0
    assert_equal(found, wanted)
    (frame,) = through(upscaler, frames(1))
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(frame.planes[0])[:] = 0


def test_a_model_that_runs_twice_remembers_both_runs(spec: ModelSpec, upscaler: Upscaler) -> None:
    given = frames(4)
    with Upscaler(str(spec.folder), scale=4) as twice:
        assert twice.passes == 2
        assert_equal(lumas(through(twice, given)), lumas(through(upscaler, through(upscaler, given))))


def test_alpha_has_no_memory(upscaler: Upscaler) -> None:
    given = frames(3, PixelFormat("gray", alpha=True))
    for frame in given:
        frame.planes = [frame.planes[0], np.maximum(np.asarray(frame.planes[1]), 16)]
    found = through(upscaler, given)
    gray = [replace(frame, planes=frame.planes[:1], format=GRAY) for frame in given]
    assert_equal(lumas(found), lumas(through(upscaler, gray)))
    with Upscaler("bicubic") as cubic:
        alphas = [replace(frame, planes=frame.planes[1:], format=GRAY) for frame in given]
        assert_equal([np.asarray(frame.planes[1]) for frame in found], lumas(map(cubic.upscale, alphas)))


def test_frames_on_a_gpu_come_to_the_host_where_the_memory_is(upscaler: Upscaler) -> None:
    (frame,) = frames(1, PixelFormat("yuv", 8, (1, 1)))
    there = SemiPlanar(np.zeros((HEIGHT, WIDTH), np.uint8), np.zeros((HEIGHT // 2, WIDTH // 2, 2), np.uint8))
    with pytest.raises(LeavesDevice, match=r"the memory of memory-x2"):
        upscaler.network.run_on_device([there], Kind.of(frame))
