"""The clip that comes with vsr, for the demo and for trying engines."""

from pathlib import Path

CLIP = Path(__file__).parent / "sample" / "big_buck_bunny_480p.mp4"
"""854x480, 24 frames a second, with sound. (c) 2008 Blender Foundation, CC-BY 3.0: see ATTRIBUTION.md beside it."""
