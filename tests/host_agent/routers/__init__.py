"""Tests of the ways to an owner."""
