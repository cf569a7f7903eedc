"""Decides what fence_virtctl does: the administrator's program on a host."""
