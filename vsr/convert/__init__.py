"""Packages in and out: from trained weights to frame graphs that every backend reads."""
