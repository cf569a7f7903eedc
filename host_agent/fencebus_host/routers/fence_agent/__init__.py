"""The fence_agent router: any installed fence agent as the way to the VMs of a hypervisor manager."""
