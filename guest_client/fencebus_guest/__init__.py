"""What Pacemaker runs in a guest: the client behind fence_virt and fence_xvm; standard library only."""
