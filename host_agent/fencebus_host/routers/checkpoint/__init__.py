"""The router among hosts that are a corosync cluster: the federation over a closed process group, without a broker."""
