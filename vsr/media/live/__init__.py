"""The part of live streams that uses FFmpeg: reading on threads that can be abandoned, low-latency encoding, outputs."""
