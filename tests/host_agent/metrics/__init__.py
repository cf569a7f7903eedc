"""Tests of what monitoring programs read."""
