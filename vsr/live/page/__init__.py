"""The page to look at a stream, and its figures for people and programs."""
