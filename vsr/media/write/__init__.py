"""Writing: encoding frames, and putting packets into a container."""
