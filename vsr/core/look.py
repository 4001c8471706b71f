"""The figures of a look at an input's frames."""

from __future__ import annotations

from dataclasses import dataclass

_FLAT_TONES = 0.17
_COMBED = 0.1
_SOFT_DB = -18.0


@dataclass(frozen=True, slots=True)
class Look:
    """Figures of luma over some places of some frames. Codes are those of 8 bits, whatever the depth.

    noise: standard deviation of white noise, in codes; 0 where none is told from texture. quantizer: step in codes of a
    transform of 8x8 samples, as JPEG's; 0 where none is found. blocking: how much steps at the borders of blocks of 8 exceed
    those between other samples, as a share of their mean; up to 0.05 in a picture that was never compressed. sharpness: the
    highest frequencies against the middle ones, in dB, where there is detail; None where there is none. shading: the share of
    an edge's contrast that two flat tones leave over, of which drawings have less than photographs; None where there are no
    edges. combing: the share of places where eight rows in turn lie above and below their neighbours, less the share of such
    columns; 0 where the input will be deinterlaced.
    """

    noise: float = 0.0
    quantizer: float = 0.0
    blocking: float = 0.0
    sharpness: float | None = None
    shading: float | None = None
    combing: float = 0.0

    @property
    def drawn(self) -> bool:
        """Whether it is drawn: comics, animation, text, screens."""
        return self.shading is not None and self.shading < _FLAT_TONES

    @property
    def combed(self) -> bool:
        """Whether it is interlaced, whatever its flags say."""
        return self.combing > _COMBED

    @property
    def soft(self) -> bool:
        """Whether fine detail is missing that compression did not remove: it was enlarged before, or is out of focus."""
        hidden = self.quantizer or self.sharpness is None
        return not hidden and self.sharpness is not None and self.sharpness < _SOFT_DB
