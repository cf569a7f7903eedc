"""Pacemaker's fencer, alone: what runs fence agents in a cluster, with files of its own, in the network of a daemon."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.components import require_file, require_program, require_root
from tests.interop.programs import Answer, Site, run

# Everything that Pacemaker's programs share among themselves lies in these places.
_OWN_PLACES = {"/run": "run", "/var/lib/pacemaker": "lib", "/var/log": "log"}
_FENCER = "/usr/lib/pacemaker/pacemaker-fenced"


@dataclass(frozen=True)
class Fencer:
    """A running fencer; ``admin`` gives it orders as an administrator would."""

    prefix: tuple[str, ...]

    def admin(self, *arguments: str) -> Answer:
        """Run stonith_admin to its end."""
        return run([*self.prefix, "stonith_admin", *arguments])

    def register(self, agent: str, **options: str) -> Answer:
        """Tell the fencer of a device called ``xvm``."""
        pairs = [f"--option={name}={value}" for name, value in options.items()]
        return self.admin("--register", "xvm", "--agent", agent, *pairs)


def _script(folder: Path, agent: Path | None) -> str:
    binds = [f"mkdir -p {folder}/{name} && mount --bind {folder}/{name} {place}" for place, name in _OWN_PLACES.items()]
    if agent is not None:
        # fence_xvm is a link to it: Pacemaker finds both where fence agents live.
        binds.append(f"mount --bind {agent} {require_file('/usr/sbin/fence_virt', 'fence-virt')}")
    return "\n".join(
        [
            "mount --make-rprivate /",
            "mount -t tmpfs none /dev/shm",
            *binds,
            "mkdir -p /run/crm",
            "chown -R hacluster:haclient /run/crm /var/lib/pacemaker",
            f"PCMK_logfile={folder}/fenced.log PCMK_logfacility=none {_FENCER} --stand-alone </dev/null >&2 &",
            "fencer=$!",
            "until stonith_admin --list-registered >/dev/null 2>&1; do sleep 0.05; done",
            "echo up",
            "cat >/dev/null",
            "kill $fencer",
            "wait $fencer",
        ]
    )


@contextmanager
def fencer(place: Site, agent: Path | None) -> Iterator[Fencer]:
    """Pacemaker's fencer as long as the context lasts; ``agent`` is seen in place of Debian's client, if given."""
    require_root()
    require_program("stonith_admin", "pacemaker-cli-utils")
    require_file(_FENCER, "pacemaker")
    folder = place.folder / "fencer"
    folder.mkdir()
    argv = [*place.network.prefix, "unshare", "--mount", "bash", "-c", _script(folder, agent)]
    with (folder / "output").open("wb") as output:
        keeper = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, bufsize=0)
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    try:
        assert keeper.stdout.readline() == b"up\n", (folder / "output").read_text()
        namespaces = (f"--net=/proc/{keeper.pid}/ns/net", f"--mount=/proc/{keeper.pid}/ns/mnt")
        yield Fencer((str(require_program("nsenter", "util-linux")), *namespaces, "--"))
    finally:
        keeper.stdin.close()
        keeper.wait(60)
        keeper.stdout.close()
