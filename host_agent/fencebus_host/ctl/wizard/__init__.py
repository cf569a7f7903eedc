"""Decides what `fence_virtctl config wizard` asks, makes and prints."""
