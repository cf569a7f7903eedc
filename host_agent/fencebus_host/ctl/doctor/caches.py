"""Looks for shared disks that the host caches: what a dead guest wrote may reach them after its death (design 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fencebus_host.config.convert.conversion import SourceError
from fencebus_host.config.convert.outside_xml import Element, parse_outside
from fencebus_host.ctl.doctor.findings import Finding, odd
from fencebus_host.ctl.survey import Site

MOST_GUESTS = 50
"""Of the running ones, to be looked at: each takes a program's start."""
_PAST_THE_CACHE = ("none", "directsync")

Describe = Callable[[str, str], str | None]
"""The XML of a VM, by hypervisor and name; ``None`` if it cannot be had."""


def check_caches(site: Site, describe: Describe) -> Iterator[Finding]:
    """One finding for each running guest with such a disk."""
    running = [(one.uri, guest.name) for one in site.hypervisors for guest in one.guests if guest.running]
    for uri, name in running[:MOST_GUESTS]:
        disks = cached_shared_disks(describe(uri, name) or "")
        if disks:
            text = f"{name}: shared disks that this host caches, and may write after the guest's death"
            yield odd(
                "cached-disk",
                f"{text}: {', '.join(disks)}",
                "<driver ... cache='none'/> in virsh edit, on every guest that shares them",
            )


def cached_shared_disks(xml: str) -> tuple[str, ...]:
    """The targets (``vdb``) of the shared disks whose writes go through the host's page cache."""
    try:
        domain = parse_outside(xml.encode(), "domain")
    except SourceError:
        return ()
    return tuple(_target(disk) for disk in domain.all("devices", "disk") if _is_shared(disk) and _is_cached(disk))


def _is_shared(disk: Element) -> bool:
    return disk.first("shareable") is not None


def _is_cached(disk: Element) -> bool:
    driver = disk.first("driver")
    return driver is None or driver.attributes.get("cache", "default") not in _PAST_THE_CACHE


def _target(disk: Element) -> str:
    target = disk.first("target")
    return target.attributes.get("dev", "?") if target is not None else "?"
