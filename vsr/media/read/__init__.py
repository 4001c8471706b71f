"""Reading: opening, demuxing and decoding an input."""
