"""Threads and bounded channels. Knows no video and no tensors: it is tested with integers."""

from vsr.pipeline.channel import Channel, EndOfStream
from vsr.pipeline.run import Pipeline, PipelineResult, Stage, run_pipeline
from vsr.pipeline.stats import PipelineStats, StageStats

__all__ = [
    "Channel",
    "EndOfStream",
    "Pipeline",
    "PipelineResult",
    "PipelineStats",
    "Stage",
    "StageStats",
    "run_pipeline",
]
