"""Measures frames per second: each stage alone, and all together; the result names the machine."""
