"""Turns a configuration file into checked settings, or into the list of all its problems."""
