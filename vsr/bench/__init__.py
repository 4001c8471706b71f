"""Frames per second, honestly: each stage alone, all together, on what machine."""
