"""Writing: what encodes frames and puts packets into a container."""
