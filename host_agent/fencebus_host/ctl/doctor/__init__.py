"""Decides what is wrong with this host's fencing, in the order in which an administrator would look."""
