"""Tests of the conversion from what a site has now."""
