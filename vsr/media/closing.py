"""Closing inputs without stopping every thread of Python."""

from __future__ import annotations

from av.codec.context import CodecContext
from av.container import InputContainer


def close_input(container: InputContainer, *decoders: CodecContext) -> None:
    """Close an input, its decoders and others that read it. Closing twice is fine.

    FFmpeg's threads go on with the frames they were given, and freeing a decoder waits for them. PyAV does that with the
    interpreter's lock held, whenever the last reference goes: 4 s for 4K HEVC on two busy cores, in which no other thread
    runs. A flush waits without the lock, and leaves nothing to wait for.
    """
    # Without a decoder in FFmpeg the context is None, which PyAV's types do not say.
    own = (stream.codec_context for stream in container.streams if stream.codec_context)
    for decoder in {*own, *decoders}:
        decoder.flush_buffers()
    container.close()
