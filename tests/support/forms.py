"""Every option of every command, as words of the command line and as keywords of Python."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from vsr import api
from vsr.backends.tensorrt.store import EngineStore
from vsr.training import trainer
from vsr.training.config import TrainConfig
from vsr.training.recipe import Recipe, load_recipe
from vsr.upscale.options import NetworkOptions

_CALLBACKS = "Python's: how it is told meanwhile, or stopped; the command line shows it, and Ctrl-C stops it"
PRINTING = {"quiet", "verbose", "as_json", "shown"}
"""Options of any command that say what is printed. Python returns the result."""
OF_SEVERAL = dict.fromkeys(
    ("recursive", "skip_existing", "dry_run"),
    "of several inputs: `UpscaleConfig` and `preview_many` have them",
)
WRITTEN = {"report": "written by the command line when it is over; Python returns it"}


@dataclass(frozen=True)
class Case:
    """An option as words and as keywords. base: words of the command, and keywords, where others than its own are needed."""

    words: str
    keywords: Mapping[str, Any]
    base: tuple[str, Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class Form:
    """A command and its Python form. words, keywords: required by the one and the other. offers: the names of the
    keywords. own, python_own: what the other has no need of, and why."""

    python: Callable[..., object]
    offers: set[str]
    cases: Mapping[str, Case]
    words: str = ""
    keywords: Mapping[str, Any] = field(default_factory=dict)
    own: Mapping[str, str] = field(default_factory=dict)
    python_own: Mapping[str, str] = field(default_factory=dict)


def names_of(kind: type) -> set[str]:
    assert is_dataclass(kind)
    return {item.name for item in fields(kind)}


def keywords_of(function: Callable[..., object]) -> set[str]:
    return set(inspect.signature(function).parameters)


def with_network(kind: Callable[..., object], given: Mapping[str, Any]) -> Any:
    """A configuration of its fields and of those of its network."""
    names = names_of(NetworkOptions)
    network = NetworkOptions(**{name: value for name, value in given.items() if name in names})
    return kind(network=network, **{name: value for name, value in given.items() if name not in names})


def network_names(kind: type) -> set[str]:
    return names_of(kind) - {"network"} | names_of(NetworkOptions)


def of_api(name: str) -> Callable[..., object]:
    """A function of the api, looked up when it is called."""

    def call(**keywords: Any) -> object:
        return getattr(api, name)(**keywords)

    return call


def export(weights: Path, target: str, **keywords: Any) -> object:
    if target.endswith(".onnx"):
        return api.export_onnx(weights, Path(target), **keywords)
    return api.export_model(weights, target, **keywords)


def build(*, store: Path | None = None, again: bool = False, device: str = "cuda", **recipe: Any) -> object:
    given = api.engine_recipe(recipe, "options")
    return api.build_engine(given, EngineStore(store), again=again, device=device)


def train(recipe: str, **given: Any) -> object:
    changes = {name: given.pop(name) for name in keywords_of(Recipe.changed) & given.keys()}
    return trainer.train(TrainConfig(load_recipe(recipe).changed(**changes), **given))


RUNNING = {
    "backend": Case("--backend onnxruntime", {"backend": "onnxruntime"}),
    "device": Case("--device npu", {"device": "npu"}),
    "model": Case("--model fast", {"model": "fast"}),
    "tile": Case("--tile 256", {"tile": 256}),
    "threads": Case("--threads 3", {"threads": 3}),
    "precision": Case("--precision fp32", {"precision": "fp32"}),
    "build": Case("--no-build", {"build": False}),
    "temporal": Case("--temporal off", {"temporal": "off"}),
    "strength": Case("--strength 0.5", {"strength": 0.5}),
}
SCALE = Case("--scale 4", {"scale": 4})
BATCH = Case("--batch 5", {"batch": 5})
ENCODING = {
    "encoder": Case("--encoder libx265", {"encoder": "libx265"}),
    "crf": Case("--crf 18.5", {"crf": 18.5}),
    "bitrate": Case("--bitrate 2.5M", {"bitrate": 2_500_000}),
    "preset": Case("--preset slow", {"preset": "slow"}),
    "encoder_options": Case(
        "--encoder-option tune=film --encoder-option bf=0", {"encoder_options": {"tune": "film", "bf": "0"}}
    ),
    "overwrite": Case("--overwrite", {"overwrite": True}),
}
PACKAGE = {
    "title": Case("--title net", {"title": "net"}),
    "licence": Case("--licence MIT", {"licence": "MIT"}),
    "overwrite": Case("--overwrite", {"overwrite": True}),
}
STORE = Case("--store engines", {"store": Path("engines")})
ON_CUDA = Case("--device cuda:1", {"device": "cuda:1"})

FORMS = {
    "upscale": Form(
        api.upscale_file,
        keywords_of(api.upscale_file),
        RUNNING
        | ENCODING
        | {
            "paths": Case("out.mkv", {"output": "out.mkv"}),
            "scale": SCALE,
            "size": Case("--size 640x360", {"size": (640, 360)}),
            "video_stream": Case("--video-stream 1", {"video_stream": 1}),
            "start": Case("--start 1:30", {"start_s": 90.0}),
            "duration": Case("--duration 2.5", {"duration_s": 2.5}),
            "deinterlace": Case("--deinterlace off", {"deinterlace": "off"}),
            "frame_rate": Case("--frame-rate 30000/1001", {"frame_rate": Fraction(30000, 1001)}),
            "hwaccel": Case("--hwaccel cuda", {"hwaccel": "cuda"}),
            "strict": Case("--strict", {"strict": True}),
            "pix_fmt": Case("--pix-fmt yuv420p10le", {"pix_fmt": "yuv420p10le"}),
            "container_format": Case("--format nut", {"container_format": "nut"}),
            "convert_streams": Case("--convert-streams", {"convert_streams": True}),
            "segment": Case("--segment 12.5", {"segment": 12.5}),
            "restart": Case("--restart", {"restart": True}),
            "workers": Case("--workers 3", {"workers": 3}),
            "cluster": Case("--cluster ray://head:10001", {"cluster": "ray://head:10001"}),
            "batch": BATCH,
        },
        "in.mp4",
        {"input": "in.mp4"},
        WRITTEN | OF_SEVERAL,
        dict.fromkeys(("progress", "control"), _CALLBACKS),
    ),
    "jobs list": Form(
        of_api("list_jobs"),
        keywords_of(api.list_jobs),
        {"folders": Case("a b", {"folders": (Path("a"), Path("b"))})},
    ),
    "jobs show": Form(
        of_api("find_job"),
        keywords_of(api.find_job),
        {"job": Case("", {"name": Path("b.mp4")}, ("b.mp4", {}))},
        "a.mp4",
        {"name": Path("a.mp4")},
    ),
    "jobs export": Form(
        of_api("export_job"),
        keywords_of(api.export_job),
        {
            "job": Case("", {"name": Path("c.mp4")}, ("c.mp4 b.mp4", {"output": Path("b.mp4")})),
            "output": Case("", {"output": Path("c.mp4")}, ("a.mp4 c.mp4", {"name": Path("a.mp4")})),
            "overwrite": ENCODING["overwrite"],
        },
        "a.mp4 b.mp4",
        {"name": Path("a.mp4"), "output": Path("b.mp4")},
        python_own={"control": _CALLBACKS},
    ),
    "jobs clean": Form(
        of_api("remove_jobs"),
        keywords_of(api.remove_jobs),
        {"folders": Case("a b", {"folders": (Path("a"), Path("b"))})},
        own={"yes": "asks, unless told not to; Python asks by what it is given"},
        python_own={"confirm": "how it is asked"},
    ),
    "stream": Form(
        lambda source, sinks=(), **keywords: api.open_stream(source, *sinks, **keywords),
        keywords_of(api.open_stream),
        RUNNING
        | ENCODING
        | {
            "source": Case(
                "", {"source": "rtsp://camera/live"}, ("rtsp://camera/live null", {"sinks": ("null",)})
            ),
            "sinks": Case("out.mp4", {"sinks": ("null", "out.mp4")}),
            "scale": SCALE,
            "max_latency": Case("--max-latency 350", {"max_latency_s": 0.35}),
            "timeout": Case("--timeout 2.5", {"timeout_s": 2.5}),
            "retries": Case("--retries 3", {"retries": 3}),
            "realtime": Case("--realtime", {"realtime": True}),
            "wait": Case("--wait", {"wait": True}),
            "source_options": Case(
                "--source-option rtsp_transport=udp --source-option fflags=nobuffer",
                {"source_options": {"rtsp_transport": "udp", "fflags": "nobuffer"}},
            ),
            "size": Case("--size 640x360", {"size": (640, 360)}),
            "frame_rate": Case("--frame-rate 25", {"frame_rate": Fraction(25)}),
            "audio": Case("--no-audio", {"audio": False}),
            "rotate": Case("--rotate 10m", {"rotate_s": 600.0}),
            "rotate, by size": Case("--rotate 500M", {"rotate_bytes": 500_000_000}),
            "keep": Case("--rotate 10m --keep 7d", {"rotate_s": 600.0, "keep_s": 604_800.0}),
            "keep, by size": Case(
                "--rotate 10m --keep 50G", {"rotate_s": 600.0, "keep_bytes": 50_000_000_000}
            ),
            "require": Case("--require null", {"require": ("null",)}),
            "when_away": Case("--when-away slate", {"when_away": "slate"}),
            "duration": Case("--duration 1:00", {"duration_s": 60.0}),
            "preview": Case("--preview :8080", {"preview": ":8080"}),
            "token": Case("--preview :8080 --token word", {"preview": ":8080", "token": "word"}),
        },
        "testsrc:64x48@25 null",
        {"source": "testsrc:64x48@25", "sinks": ("null",)},
        WRITTEN | {"config": "several streams: Python has `open_streams`; tests/live/test_streams_file.py"},
    ),
    "demo": Form(
        of_api("demo"),
        keywords_of(api.demo),
        {
            "output_dir": Case("folder", {"output_dir": Path("folder")}),
            "model": RUNNING["model"],
        },
        python_own=dict.fromkeys(("progress", "control"), _CALLBACKS),
    ),
    "try": Form(
        lambda **keywords: api.try_out(api.TryConfig(**keywords)),
        names_of(api.TryConfig),
        {
            "url": Case("", {"url": "b.mp4"}, ("b.mp4", {})),
            "output": Case("--output page.html", {"output": Path("page.html")}),
            "scale": Case("--scale 4", {"scale": 4}),
            "full": Case("--full", {"full": True}),
            "overwrite": ENCODING["overwrite"],
        },
        "a.mp4",
        {"url": "a.mp4"},
    ),
    "probe": Form(
        lambda **keywords: (api.probe(**keywords), api.preview(**keywords)),
        keywords_of(api.probe) | keywords_of(api.preview),
        {
            "url": Case("", {"url": "b.mp4"}, ("b.mp4", {})),
            "video_stream": Case("--video-stream 1", {"video_stream": 1}),
        },
        "a.mp4",
        {"url": "a.mp4"},
    ),
    "model show": Form(
        of_api("find_model"),
        keywords_of(api.find_model),
        {"name": Case("", {"name": "fast"}, ("fast", {}))},
        "bicubic",
        {"name": "bicubic"},
        python_own=dict.fromkeys(
            ("scale", "use", "on_gpu", "rule"), "how a job chooses; a model is shown by its name"
        ),
    ),
    "model export": Form(
        export,
        keywords_of(api.export_model) | keywords_of(api.export_onnx),
        PACKAGE
        | {
            "weights": Case("", {"weights": Path("b")}, ("b net-x2", {"target": "net-x2"})),
            "target": Case("", {"target": "other-x2"}, ("a other-x2", {"weights": Path("a")})),
            "sample": Case("--sample 3", {"sample": 3}),
            "calibrate": Case("--calibrate photos", {"calibrate": (Path("photos"),)}),
            "precision": Case(
                "--precision fp16",
                {"precision": "fp16"},
                ("a n.onnx", {"weights": Path("a"), "target": "n.onnx"}),
            ),
        },
        "a net-x2",
        {"weights": Path("a"), "target": "net-x2"},
        python_own={"path": "the target of an .onnx file"},
    ),
    "model import": Form(
        of_api("import_model"),
        keywords_of(api.import_model),
        PACKAGE
        | {
            "file": Case("", {"file": Path("b.pth")}, ("b.pth net-x2", {"target": "net-x2"})),
            "package": Case("", {"target": "other-x2"}, ("a.pth other-x2", {"file": Path("a.pth")})),
        },
        "a.pth net-x2",
        {"file": Path("a.pth"), "target": "net-x2"},
    ),
    "engine build": Form(
        build,
        names_of(api.EngineRecipe) | keywords_of(api.build_engine) - {"recipe"},
        {
            "target": Case("", {"model": "fast-x2"}, ("fast-x2", {})),
            "size": Case("--size 640x360", {"width": 640, "height": 360}),
            "batch": Case("--batch 2", {"batch": 2}),
            "layout": Case("--layout yuv16-left", {"layout": "yuv16-left"}),
            "precision": RUNNING["precision"],
            "capabilities": Case("--for 8.6 --for 8.9", {"compute_capabilities": ["8.6", "8.9"]}),
            "library": Case("--library tensorrt_rtx", {"library": "tensorrt_rtx"}),
            "device": ON_CUDA,
            "store": STORE,
            "again": Case("--again", {"again": True}),
        },
        "balanced-x2",
        {"model": "balanced-x2"},
        python_own=dict.fromkeys(("say", "on_progress"), _CALLBACKS)
        | dict.fromkeys(
            ("chroma", "keep_fp32", "min_psnr_db", "workspace_mb", "optimization_level"),
            "an entry of a recipe, which the command takes as a file",
        ),
    ),
    "engine list": Form(lambda store=None: EngineStore(store).manifests(), {"store"}, {"store": STORE}),
    "engine show": Form(
        lambda key, store=None: EngineStore(store).named(key),
        {"key", "store"},
        {"store": STORE, "key": Case("", {"key": "cd"}, ("cd", {}))},
        "ab",
        {"key": "ab"},
    ),
    "engine verify": Form(
        lambda key, store=None, **keywords: api.verify_engine(key, EngineStore(store), **keywords),
        keywords_of(api.verify_engine),
        {
            "device": ON_CUDA,
            "store": STORE,
            "key": Case("", {"key": "cd"}, ("cd", {})),
            "input": Case("--input a.mp4", {"input": "a.mp4"}),
            "frames": Case("--frames 3", {"frames": 3}),
        },
        "ab",
        {"key": "ab"},
    ),
    "engine remove": Form(
        lambda key, store=None: EngineStore(store).key(key),
        {"key", "store"},
        {"store": STORE, "keys": Case("", {"key": "cd"}, ("cd", {}))},
        "ab",
        {"key": "ab"},
    ),
    "evaluate": Form(
        lambda **keywords: api.evaluate(with_network(api.EvaluateConfig, keywords)),
        network_names(api.EvaluateConfig),
        RUNNING
        | {
            "data": Case("--data b", {"data": (Path("a"), Path("b"))}),
            "scale": SCALE,
            "batch": BATCH,
            "frames": Case("--frames 7", {"frames": 7}),
            "report": Case("--report r.json", {"report": Path("r.json")}),
            "vmaf": Case("--vmaf", {"vmaf": True}),
            "lpips": Case("--lpips", {"lpips": True}),
            "dists": Case("--dists", {"dists": True}),
        },
        "--data a",
        {"data": (Path("a"),)},
    ),
    "compare": Form(
        lambda **keywords: api.compare(api.CompareConfig(**keywords)),
        names_of(api.CompareConfig),
        {
            "a": Case("", {"a": "c.png"}, ("c.png b.png", {"b": "b.png"})),
            "b": Case("", {"b": "c.png"}, ("a.png c.png", {"a": "a.png"})),
            "reference": Case("c.png", {"reference": "c.png"}),
            "output": Case("--output page.html", {"output": Path("page.html")}),
            "frames": Case("--frames 7", {"frames": 7}),
            "overwrite": ENCODING["overwrite"],
            "blind": Case("--blind", {"blind": True}),
        },
        "a.png b.png",
        {"a": "a.png", "b": "b.png"},
    ),
    "bench": Form(
        lambda **keywords: api.benchmark(api.BenchConfig(**keywords)),
        names_of(api.BenchConfig),
        {
            "suite": Case("--suite models", {"suite": "models"}),
            "budget_s": Case("--budget 1.5", {"budget_s": 90.0}),
            "models": Case("--model fast --model balanced", {"models": ("fast", "balanced")}),
            "scales": Case("--scale 4 --scale 2", {"scales": (4, 2)}),
            "sizes": Case("--size 640x360 --size 64x48", {"sizes": ((640, 360), (64, 48))}),
            "backends": Case("--backend onnxruntime", {"backends": ("onnxruntime",)}),
            "devices": Case("--device npu --device gpu:1", {"devices": ("npu", "gpu:1")}),
            "precisions": Case("--precision fp32 --precision bf16", {"precisions": ("fp32", "bf16")}),
            "batches": Case("--batch 5 --batch 1", {"batches": (5, 1)}),
            "in_flights": Case("--in-flight 1 --in-flight 3", {"in_flights": (1, 3)}),
            "encoders": Case("--encoder null --encoder libx265", {"encoders": ("null", "libx265")}),
            "presets": Case("--preset fast --preset slow", {"presets": ("fast", "slow")}),
            "input": Case("--input in.mp4", {"input": "in.mp4"}),
            "frames": Case("--frames 7", {"frames": 7}),
            "tile": RUNNING["tile"],
            "threads": RUNNING["threads"],
            "build": RUNNING["build"],
        },
        own=WRITTEN | dict.fromkeys(("markdown", "plot"), WRITTEN["report"]),
    ),
    "bench compare": Form(
        lambda results: [api.read_bench_result(path) for path in results],
        {"results"},
        {"results": Case("", {"results": (Path("c"), Path("b"))}, ("c b", {}))},
        "a b",
        {"results": (Path("a"), Path("b"))},
    ),
    "bench tune": Form(
        lambda **given: api.tune(with_network(api.TuneConfig, given)),
        network_names(api.TuneConfig),
        RUNNING
        | {
            "scale": SCALE,
            "batch": BATCH,
            "size": Case("--size 640x360", {"size": (640, 360)}),
            "encoder": Case("--encoder null", {"encoder": "null"}),
            "preset": Case("--preset fast", {"preset": "fast"}),
            "budget_s": Case("--budget 3", {"budget_s": 180.0}),
        },
    ),
    "train": Form(
        train,
        names_of(TrainConfig) | keywords_of(Recipe.changed) - {"self"},
        {
            "recipe": Case(
                "",
                {"recipe": "balanced-x2"},
                ("balanced-x2 --data a --out o", {"data": (Path("a"),), "out": Path("o")}),
            ),
            "data": Case("--data b", {"data": (Path("a"), Path("b"))}),
            "out": Case("--out p", {"out": Path("p")}),
            "val": Case("--val v", {"val": (Path("v"),)}),
            "device": Case("--device cpu", {"device": "cpu"}),
            "init": Case("--init fast-x2", {"init": Path("fast-x2")}),
            "continued": Case("--init fast-x2 --continue", {"init": Path("fast-x2"), "continued": True}),
            "vgg": Case("--vgg vgg.safetensors", {"vgg": Path("vgg.safetensors")}),
            "resume": Case("--resume", {"resume": True}),
            "time_limit": Case("--time-limit 60", {"time_limit_s": 60.0}),
            "stop_after": Case("--stop-after 30", {"stop_after_s": 30.0}),
            "checkpoints": Case("--checkpoints c", {"checkpoints": Path("c")}),
            "steps": Case("--steps 7", {"steps": 7}),
            "seed": Case("--seed 7", {"seed": 7}),
            "lr": Case("--lr 0.01", {"lr": 0.01}),
            "teacher": Case("--teacher quality-x2", {"teacher": "quality-x2"}),
        },
        "fast-x2 --data a --out o",
        {"recipe": "fast-x2", "data": (Path("a"),), "out": Path("o")},
        python_own=dict.fromkeys(("on_progress", "on_message", "on_warning", "control"), _CALLBACKS)
        | {
            "command": "how it was called, for the log: the command line knows",
            "photos": "pictures that the program has decoded already",
        },
    ),
}
WITHOUT_FORM = {
    "doctor": "takes nothing",
    "model list": "takes nothing",
}
