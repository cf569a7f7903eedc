"""Tests of the fence_agent router, on agents written for them and on Debian's."""
