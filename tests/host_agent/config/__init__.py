"""Tests of fencebus_host.config."""
