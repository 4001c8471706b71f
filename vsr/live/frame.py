"""An upscaled frame as callers get it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vsr.core.frame import Frame

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class StreamFrame:
    """An upscaled frame of a stream.

    frame: planes as they lie in memory; pts on the session's clock. model: the network that made it. captured_at: when it could
    be decoded, on the monotonic clock (`time.monotonic`): the arrival of the packet that released it.
    """

    frame: Frame
    model: str
    captured_at: float

    @property
    def time_s(self) -> float:
        """Seconds since the session began, by the source's timestamps."""
        return float((self.frame.pts or 0) * self.frame.time_base)

    @property
    def age_s(self) -> float:
        """Seconds since it could be decoded."""
        return time.monotonic() - self.captured_at

    def to_rgb(self) -> NDArray[np.uint8]:
        """The picture as an array of shape (height, width, 3)."""
        from vsr.media.live.pictures import rgb_array

        return rgb_array(self.frame)
