"""Hostile peers: no reply that helps them, a line in the log, no crash, no growth, and everybody else is served."""
