"""Reading: what opens an address, demuxes and decodes it."""
