"""This machine: runtimes, devices, versions."""
