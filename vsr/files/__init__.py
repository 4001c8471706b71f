"""Files that appear whole, files that one run has alone, checks of paths, and the user's folders."""
