"""Receives fence requests, decides about them and routes them to the host that owns the target."""
