"""Tests of the listeners, on real sockets."""

"""The doors, knocked at by peers that speak the C protocol rightly and wrongly."""
