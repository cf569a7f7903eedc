"""The pure machines of a fence across hosts, one by one."""
