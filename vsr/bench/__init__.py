"""Frames per second, honestly: each stage alone, all together, on what machine."""

from vsr.bench.run import BenchConfig, bench

__all__ = ["BenchConfig", "bench"]
