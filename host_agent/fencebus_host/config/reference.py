"""Turns the table of keys into the page docs/configuration.md: `python -m fencebus_host.config.reference > PAGE`."""

from __future__ import annotations

import sys

from fencebus_host.config.key import Key, Section
from fencebus_host.config.key_table import SECTIONS

HEAD = """\
# The configuration file

<!-- Made from host_agent/fencebus_host/config/key_table.py by: python -m fencebus_host.config.reference -->

`fence_virtd` reads `/etc/fence_virt.conf`, or the file that `-f` names. A file of the C `fence_virtd` works as it
stands; what is read differently is listed in [differences.md](differences.md). Without a file the
defaults below count: libvirt's `qemu:///system`, and the listeners that can run, of which tcp and multicast need a
key.

## How a file is written

```
# a comment runs to the end of its line
fence_virtd {
    listener = "multicast, tcp";
    backend = "libvirt";
}

listeners {
    multicast { interface = "virbr0"; }
    multicast = "br1" { interface = "br1"; }        # a second instance, called multicast:br1
    tcp { address = "192.0.2.1"; key_file = "/etc/cluster/new.key, /etc/cluster/old.key"; }
}

backends { libvirt { uri = "qemu:///system"; } }

groups {
    group { name = "cluster1"; uuid = "node1"; uuid = "node2"; ip = "192.0.2.0/24"; }
}
```

* Every value stands in double quotes, numbers too, and is followed by `;`. There are no escapes; a value may span
  lines.
* Names of sections and keys, and the words among their values, are the same in upper and lower case.
* Of a key or section that occurs twice the last one counts, as in the C program; sections are not merged. A warning
  names the file and line of what is ignored. `uuid` and `ip` of a group, the groups and the hosts are lists: every
  one counts.
* Numbers are whole numbers; a switch is `"0"` or `"1"`.
* An unknown section, key or word is an error, and the daemon does not start. All errors are reported at once, each
  with file, line, a stable code and, where there is one, the word that was probably meant. In the section of a
  listener or backend that is not in use they are warnings.
* Without a `groups` section everybody may fence everybody. With one, a group without members matches nobody, and a
  section without groups lets nobody fence anybody.
* The key files and this file are never changed by the daemon. To be readable by others than the owner is a warning;
  to be missing, unreadable or empty is an error. A listener with `hash = "none"` and `auth = "none"` needs no key.
* `SIGHUP` reads everything again. If the new file has errors they are logged and the old settings stay.
"""


def page() -> str:
    """The whole page, in Markdown."""
    return HEAD + "\n## Sections and keys\n" + "".join(_section(section) for section in SECTIONS)


def _section(section: Section) -> str:
    inner = section.path.replace("/", " { ") + " { ... }" + " }" * section.path.count("/")
    rows = "".join(_row(key) for key in section.keys)
    head = f"\n### `{inner}`\n\n{section.meaning} Known to: {section.known_by.value}.\n\n"
    return head + "| key | meaning | default | known to |\n|---|---|---|---|\n" + rows


def _row(key: Key[object]) -> str:
    default = key.shown or "none"
    return f"| `{key.name}` | {key.meaning} | {default} | {key.known_by.value} |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
