"""Tests of the router over corosync."""
