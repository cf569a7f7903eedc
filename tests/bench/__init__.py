"""Measurements against the C programs: `make bench`."""
