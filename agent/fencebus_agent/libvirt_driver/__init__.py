"""The Hypervisor port on libvirt: any driver that libvirt has, with death proven by the kernel where QEMU runs on
this host.
"""

from fencebus_agent.libvirt_driver.courtesies import LibvirtCourtesies
from fencebus_agent.libvirt_driver.describing import LibvirtDescriber
from fencebus_agent.libvirt_driver.driver import LibvirtHypervisor

__all__ = ["LibvirtCourtesies", "LibvirtDescriber", "LibvirtHypervisor"]
