"""Other ways to enlarge a video, beside vsr: `python -m benchmarks.peers`."""
