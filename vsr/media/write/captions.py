"""Closed captions (ATSC A/53) put into H.264 and HEVC pictures as SEI messages: FFmpeg's encoders take them from frame side
data that cannot be written here, or not at all."""

from __future__ import annotations

# itu_t_t35_country_code (USA), provider code (ATSC), "GA94", user_data_type_code cc_data
_HEADER = b"\xb5\x00\x31GA94\x03"
_USER_DATA_REGISTERED = 4
_MAX_TRIPLETS = 31  # cc_count has five bits


def takes_captions(codec: str) -> bool:
    """Whether captions can be put into packets of that codec."""
    return codec in ("h264", "hevc")


def with_captions(packet: bytes, cc_data: bytes, codec: str) -> bytes:
    """An Annex B picture with its captions before the first slice.

    cc_data: three bytes a caption packet, as FFmpeg's A53_CC side data holds them. A packet without start codes or slices is
    returned unchanged.
    """
    place = _first_slice(packet, codec)
    if place is None or not cc_data:
        return packet
    return packet[:place] + _sei(cc_data, codec) + packet[place:]


def _sei(cc_data: bytes, codec: str) -> bytes:
    count = min(len(cc_data) // 3, _MAX_TRIPLETS)
    # process_cc_data_flag with the count, em_data, then the packets and marker bits.
    payload = _HEADER + bytes([0x40 | count, 0xFF]) + cc_data[: 3 * count] + b"\xff"
    size = len(payload)
    message = (
        bytes([_USER_DATA_REGISTERED]) + b"\xff" * (size // 255) + bytes([size % 255]) + payload + b"\x80"
    )
    header = b"\x06" if codec == "h264" else b"\x4e\x01"  # SEI; prefix SEI of layer 0
    return b"\x00\x00\x00\x01" + header + _escaped(message)


def _escaped(data: bytes) -> bytes:
    """The data with emulation prevention bytes: no three bytes may look like a start code."""
    out = bytearray()
    zeros = 0
    for byte in data:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


def _first_slice(packet: bytes, codec: str) -> int | None:
    """The offset of the first slice's start code; None if there is no slice."""
    position = packet.find(b"\x00\x00\x01")
    while position >= 0 and position + 3 < len(packet):
        header = packet[position + 3]
        is_slice = 1 <= header & 0x1F <= 5 if codec == "h264" else (header >> 1) & 0x3F < 32
        if is_slice:
            return position - 1 if position > 0 and packet[position - 1] == 0 else position
        position = packet.find(b"\x00\x00\x01", position + 3)
    return None
