"""Looks at clocks.  No fence hangs on them (no rule compares two); certificates and the reading of two logs do."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator

from fencebus_host.config.convert.conversion import SourceError
from fencebus_host.config.convert.outside_xml import parse_outside
from fencebus_host.ctl.doctor.findings import Finding, good, odd
from fencebus_host.ctl.survey import Site

TIME_ERROR = 5
"""What adjtimex(2) returns of a clock that nothing keeps right."""
MOST_SKEW = 5.0
"""Seconds between host and guest beyond which their logs cannot be laid side by side."""
MOST_GUESTS = 20
_STRUCT_TIMEX = 512  # bytes: more than any kernel's struct timex
_AGENT = "org.qemu.guest_agent.0"

AskGuest = Callable[[str, str], str | None]
"""What `virsh domtime` prints of a VM, by hypervisor and name; ``None`` if it cannot be had."""


def is_kept_right() -> bool | None:
    """Whether the kernel thinks that this host's clock is synchronised; ``None`` if it cannot be asked."""
    try:
        state = int(ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_STRUCT_TIMEX)))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != TIME_ERROR


def check_host_clock(kept_right: bool | None) -> Iterator[Finding]:
    """This host's clock is kept right by something."""
    if kept_right is False:
        text = "nothing keeps this host's clock right: fences do not hang on it; logs and certificates do"
        yield odd("clock", text, "systemctl enable --now systemd-timesyncd (or chronyd); timedatectl")
    elif kept_right:
        yield good("clock", "this host's clock is kept right")


def check_guest_clocks(
    site: Site, describe: AskGuest, ask: AskGuest, now: Callable[[], float] = time.time
) -> Iterator[Finding]:
    """The clocks of running guests whose guest agent answers, against this host's."""
    running = [(one.uri, guest.name) for one in site.hypervisors for guest in one.guests if guest.running]
    for uri, name in running[:MOST_GUESTS]:
        if not has_agent(describe(uri, name) or ""):
            continue
        skew = skew_of(ask(uri, name) or "", now())
        if skew is not None and abs(skew) > MOST_SKEW:
            text = f"{name}: its clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this host's"
            yield odd(
                "clock-skew", f"{text}: its log and the daemon's do not fit together", f"virsh domtime {name} --sync"
            )


def has_agent(xml: str) -> bool:
    """Whether QEMU's guest agent is connected, in a running domain's XML."""
    try:
        domain = parse_outside(xml.encode(), "domain")
    except SourceError:
        return False
    targets = domain.all("devices", "channel", "target")
    return any(
        target.attributes.get("name") == _AGENT and target.attributes.get("state") == "connected" for target in targets
    )


def skew_of(printed: str, now: float) -> float | None:
    """Seconds by which the guest is ahead, from ``Time: 1700000000``."""
    label, _, seconds = printed.partition(":")
    return float(seconds) - now if label == "Time" and seconds.strip().isdigit() else None
