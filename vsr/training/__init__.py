"""Training: recipes, pictures cut into patches, losses, and the trainer. Needs the `torch` extra."""
