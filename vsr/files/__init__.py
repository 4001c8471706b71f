"""Files: those that appear whole, locks, and checks of paths. Standard library only."""
