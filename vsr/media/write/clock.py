"""The source's time on the output's clock."""

from __future__ import annotations

from fractions import Fraction

from vsr.core.errors import EncodeError
from vsr.media.write.containers import Container


class OutputClock:
    """Gives each frame its tick, in order. `shift`: seconds that all streams move by, settled by the first frame."""

    def __init__(
        self,
        container: Container,
        time_base: Fraction,
        frame_rate: Fraction,
        start_offset: Fraction,
        warnings: list[str],
    ) -> None:
        """time_base: of the ticks. frame_rate: the grid of containers that number their frames. start_offset: see Carried.

        warnings: gets sentences for the user about times that the container cannot say.
        """
        self.shift = -start_offset
        self._warnings = warnings
        self._container = container
        self._time_base = time_base
        self._frame_rate = frame_rate
        self._frames = 0
        self._settled = False
        self._last: int | None = None
        # AVI is the only format with a constant rate that numbers its frames.
        self._closes_gaps = container.constant_rate and container.format != "avi"

    def ticks(self, time: Fraction) -> int:
        """The pts of a frame that the source shows at `time` seconds. Raises EncodeError if the container cannot express it."""
        self.settle(time)
        seconds = time + self.shift
        exact = seconds / self._time_base
        pts: int = round(exact)
        if self._container.constant_rate and abs(exact - pts) > Fraction(1, 4):
            raise EncodeError(
                f"{self._container.format} holds a constant frame rate only; frame {self._frames} at "
                f"{float(seconds):.3f} s is not on the grid of {self._frame_rate} frames a second",
                hint="write to .mkv or .mp4, which keep variable rates",
            )
        if self._last is not None and pts <= self._last:
            pts = self._last + 1  # two frames at one time: the encoder takes them in order only
        if self._closes_gaps and self._last is not None and pts > self._last + 1:
            self._closes_gaps = False  # Warn only once.
            self._warnings.append(
                f"there is a gap before {float(seconds):.3f} s, which {self._container.format} cannot express: the frames "
                "after it are earlier than in the input (.mkv and .mp4 keep the gap)"
            )
        self._frames += 1
        self._last = pts
        return pts

    def settle(self, first: Fraction) -> None:
        """Move all streams so that the first frame, which the source shows at `first` seconds, is where the container can
        begin. Without it, the first frame that `ticks` is given settles that.
        """
        if self._settled:
            return
        self._settled = True
        seconds = first + self.shift
        if seconds < 0:
            # No container here begins before zero.
            self.shift -= seconds
        elif seconds and self._container.constant_rate:
            # The container numbers its frames from the first on. The other streams move along.
            self.shift -= seconds
            self._warnings.append(
                f"the video begins at {float(seconds):.3f} s, which {self._container.format} cannot say: "
                "all streams are moved back by that, and sound before it is left out"
            )
