"""What of live streams touches FFmpeg: reading on threads that can be abandoned, low-latency encoding, outputs."""
