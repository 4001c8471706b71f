"""Pictures in 256 colours of their own, as GIF holds them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint8]

TRANSPARENT = 255
"""The index of transparent samples; no other sample has it."""
_SAMPLE = 10_000  # pixels that a palette is made from
_WORSE = 1.3  # a new palette is made at this multiple of the error the palette had at first
# Bayer's matrix of 8 x 8 thresholds from -1 to 1.
_FOUR = np.array([[0, 2], [3, 1]])
_SIXTEEN = np.block([[4 * _FOUR + offset for offset in row] for row in _FOUR])
_BAYER = (np.block([[4 * _SIXTEEN + offset for offset in row] for row in _FOUR]) / 31.5 - 1).astype(
    np.float32
)


@dataclass(frozen=True, slots=True)
class Paletted:
    """indices: [height, width]. colours: [256, 4], red, green, blue and alpha, 0 or 255."""

    indices: Codes
    colours: Codes


class Palettes:
    """Brings the pictures of one stream to 255 colours and transparency.

    A palette is used as long as it fits: pictures that share one are smaller, and do not flicker. Up to 255 colours stay
    unchanged. For more, the palette is made by median cut and k-means, with ordered dither as strong as its colours are far
    apart.
    """

    def __init__(self) -> None:
        self._colours: Codes | None = None  # [255, 3]
        self._error = 0.0

    def __call__(self, pixels: Codes) -> Paletted:
        """pixels: [height, width, 3 or 4], RGB or RGB and alpha; samples that are more than half transparent are so
        altogether."""
        from PIL import Image

        rgb = pixels[..., :3]
        hidden = pixels[..., 3] < 128 if pixels.shape[2] == 4 else np.zeros(rgb.shape[:2], np.bool_)
        if hidden.any():
            rgb = np.where(hidden[..., None], rgb[~hidden][0] if not hidden.all() else np.uint8(0), rgb)
        rgb = np.ascontiguousarray(rgb)
        few = Image.fromarray(rgb).getcolors(TRANSPARENT)
        if few:
            indices = self._by_few(rgb, np.array([colour for _count, colour in few], np.uint8))
        else:
            indices = self._by_many(rgb, ~hidden)
        assert self._colours is not None
        colours = np.full((256, 4), 255, np.uint8)
        colours[:TRANSPARENT, :3] = self._colours
        colours[TRANSPARENT] = 0
        return Paletted(np.where(hidden, np.uint8(TRANSPARENT), indices), colours)

    def _by_few(self, rgb: Codes, wanted: Codes) -> Codes:
        if self._colours is None or not np.isin(_packed(wanted), _packed(self._colours)).all():
            self._colours, self._error = _filled(wanted), 0.0
        known, places = np.unique(_packed(self._colours), return_index=True)
        return places[np.searchsorted(known, _packed(rgb))].astype(np.uint8)

    def _by_many(self, rgb: Codes, shows: npt.NDArray[np.bool_]) -> Codes:
        from PIL import Image

        if self._colours is None or _error(rgb, self._colours) > _WORSE * self._error:
            sample = rgb[shows]
            sample = np.ascontiguousarray(sample[:: max(1, len(sample) // _SAMPLE)])
            found = Image.fromarray(sample[None]).quantize(TRANSPARENT, Image.Quantize.MEDIANCUT, kmeans=1)
            self._colours = _filled(np.array(found.getpalette(), np.uint8).reshape(-1, 3))
            self._error = _error(rgb, self._colours)
        strength = np.float32(0.75 * np.sqrt(self._error))
        rows, columns = np.ogrid[: rgb.shape[0], : rgb.shape[1]]
        dither = strength * _BAYER[rows % 8, columns % 8, None]
        return _nearest(np.clip(np.rint(rgb + dither), 0, 255).astype(np.uint8), self._colours)


def _packed(rgb: Codes) -> npt.NDArray[np.uint32]:
    red, green, blue = (rgb[..., channel].astype(np.uint32) for channel in range(3))
    return np.asarray(red << 16 | green << 8 | blue, np.uint32)


def _filled(colours: Codes) -> Codes:
    """255 colours: those given, the first again in the places left."""
    whole = np.repeat(colours[:1], TRANSPARENT, 0)
    whole[: len(colours)] = colours[:TRANSPARENT]
    return whole


def _nearest(rgb: Codes, colours: Codes) -> Codes:
    from PIL import Image

    palette = Image.new("P", (1, 1))
    palette.putpalette([*colours.ravel().tolist(), *colours[0].tolist()])
    found = np.asarray(Image.fromarray(rgb).quantize(palette=palette, dither=Image.Dither.NONE))
    return np.where(found == TRANSPARENT, np.uint8(0), found)


def _error(rgb: Codes, colours: Codes) -> float:
    """Mean squared, of every fourth row."""
    rows = np.ascontiguousarray(rgb[::4])
    return float(np.square(colours[_nearest(rows, colours)].astype(np.float32) - rows).mean())
