"""Tests of what is built, installed and shipped."""
