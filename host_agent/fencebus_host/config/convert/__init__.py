"""Turns what a site has now (cluster.conf, C's fence_virt.conf, a fence_xvmd command line) into our configuration."""
