"""One model on one backend over one stream of frames."""

from vsr.upscale.upscaler import Upscaler

__all__ = ["Upscaler"]
