"""Witnesses of a host's death (S13): each says that a host is off, was fenced, is alive, or that it does not know."""
