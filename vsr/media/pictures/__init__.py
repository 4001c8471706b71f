"""Picture files: formats, tags, and pictures inside packets."""
