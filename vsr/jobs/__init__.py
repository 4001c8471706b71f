"""Inputs that end: from file to file."""
