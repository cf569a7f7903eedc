"""Decides which man pages and completion files there are, and writes them: `python3 packaging/pages.py FOLDER`.

They are made from the option tables each time, and kept nowhere: so they cannot say what the programs do not do.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [
    str(HERE),
    *(str(HERE.parent / name) for name in ("schemas", "agent", "host_agent", "guest_client", "broker_config")),
]

import agentd_page  # noqa: E402
import broker_page  # noqa: E402
import client_pages  # noqa: E402
import completions  # noqa: E402
import ctl_page  # noqa: E402
import daemon_pages  # noqa: E402

from fencebus_guest.options import FENCE_VIRT, FENCE_XVM  # noqa: E402

CLIENTS = (FENCE_VIRT, FENCE_XVM)
DAEMON, AGENT = "fence_virtd", "fencebus-agentd"


def files() -> dict[str, str]:
    """Return the text of every file by its path below the folder: man/, bash/ and zsh/."""
    flags = {
        DAEMON: completions.daemon_flags(),
        AGENT: completions.agent_flags(),
        **{name: completions.client_flags(name) for name in CLIENTS},
    }
    return {
        **{f"man/{name}.8": client_pages.page(name) for name in CLIENTS},
        f"man/{DAEMON}.8": daemon_pages.daemon(),
        "man/fence_virtctl.8": ctl_page.page(),
        "man/fencebus-agentd.8": agentd_page.page(),
        "man/fencebus_broker.8": broker_page.page(),
        "man/fence_virt.conf.5": daemon_pages.configuration(),
        **{f"bash/{name}": completions.bash(name, flags[name]) for name in flags},
        "bash/fence_virtctl": completions.BASH_CLICK,
        "bash/fencebus_broker": broker_page.bash(),
        "zsh/_fence_virt": completions.zsh(CLIENTS, flags),
        "zsh/_fence_virtd": completions.zsh((DAEMON,), flags),
        "zsh/_fencebus-agentd": completions.zsh((AGENT,), flags),
        "zsh/_fence_virtctl": completions.ZSH_CLICK,
        "zsh/_fencebus_broker": broker_page.zsh(),
    }


def main() -> int:
    """Write all files below the folder that the command line names."""
    for name, text in files().items():
        path = Path(sys.argv[1]) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
