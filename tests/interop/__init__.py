"""Tests with the real programs: C fence_virt, libvirtd, QEMU, Pacemaker."""
