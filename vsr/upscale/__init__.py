"""One model on one backend over one stream of frames."""
