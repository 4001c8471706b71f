"""The version of vsr. The build reads it here."""

__version__ = "0.1.0"
