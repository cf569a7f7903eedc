"""Tests of the brokers' settings, as files and in real brokers."""
