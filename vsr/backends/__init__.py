"""The runtimes that execute a network, and the choice among them."""
