"""Tests of the page that shows a daemon's state."""
