"""Everything that touches FFmpeg: sources, sinks, encoders, stream copy."""
