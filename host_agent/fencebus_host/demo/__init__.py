"""Shows what fencebus does, on one host and across two, in a few seconds."""
