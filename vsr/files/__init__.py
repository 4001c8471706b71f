"""Files: those that appear whole, those that one run has alone, checks of paths, and the user's folders."""
