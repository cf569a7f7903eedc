"""Tests of fence_virtctl."""
