"""What this machine has: runtimes, devices, versions."""
