"""Speaks for this host's hypervisor, and to the message bus."""
