"""A siege: real guests, real libvirt, many requesters, trouble of every kind; an oracle looks at the kernel."""
