"""What executes a network, and the choice of it."""
