"""Tests of guest_client/."""
