"""One frame: its planes, colour, size, fields and side data."""
