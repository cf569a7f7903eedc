"""Tests of what the doctor looks at beyond files, the daemon and libvirt."""
