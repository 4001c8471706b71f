"""Languages of Matroska's tracks that three letters do not say: FFmpeg reads no others."""

from __future__ import annotations

from pathlib import Path

from av.container import InputContainer

from vsr.media.ebml import LANGUAGE_BCP47, elements, find_tracks

_TRACK, _TYPE = 0xAE, 0x83
# FFmpeg makes streams from these types, in order: video, audio, subtitles, metadata.
_STREAMS = frozenset({1, 2, 17, 33})
_MAX_BYTES = 16 << 20


def languages_of(container: InputContainer) -> dict[int, str]:
    """Tags of BCP 47 (zh-Hant, es-419) by index of the stream, as far as a file has them."""
    path = Path(container.name.removeprefix("file:"))
    if "matroska" not in container.format.name or not path.is_file():
        return {}
    try:
        with path.open("rb") as file:
            place = find_tracks(file)
            if place is None or place[1] > _MAX_BYTES:
                return {}
            file.seek(place[0])
            payload = file.read(place[1])
    except OSError:
        return {}
    tracks = [dict(elements(data)) for identifier, data in elements(payload) if identifier == _TRACK]
    streams = [track for track in tracks if int.from_bytes(track.get(_TYPE, b""), "big") in _STREAMS]
    tags = (track.get(LANGUAGE_BCP47, b"").rstrip(b"\0").decode("ascii", "replace") for track in streams)
    return {index: tag for index, tag in enumerate(tags) if tag}
