"""Provides a root in which dnf installs and swaps: Debian's files, and RPM stand-ins for what other packages bring.

The stand-in for the C daemon's package does what Fedora's does when it is removed: a changed configuration is renamed,
the unit is taken out of the boot.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.components import require_program
from tests.package.fresh_root import FreshRoot, pristine
from tests.package.made_packages import DEBIANS_ALONE

# Their names and versions are in the requirements of ours; the files that count are Debian's.
BROUGHT = {
    "python3": "3.11.2",
    "python3-libvirt": "9.0.0",
    "python3-lark": "1.1.5",
    "python3-click": "8.1.3",
    "python3-rich": "13.3.1",
}
SPEC = """\
Name: standin
Version: 4.14
Release: 1
Summary: Stand-ins
License: Apache-2.0
BuildArch: noarch
%description
Stand-ins.
%package -n fence-virt
Summary: The C client
%description -n fence-virt
The C client.
%package -n fence-virtd
Summary: The C daemon
%description -n fence-virtd
The C daemon.
%package -n shell
Summary: A shell
Provides: /bin/sh /usr/bin/python3
%description -n shell
A shell.
{brought}
%install
install -d %{{buildroot}}/etc %{{buildroot}}/usr/sbin %{{buildroot}}/usr/lib/systemd/system
for each in etc/fence_virt.conf usr/sbin/fence_xvm usr/sbin/fence_virtd usr/lib/systemd/system/fence_virtd.service; do
    echo "# C's" >%{{buildroot}}/$each
done
printf '[Install]\\nWantedBy=multi-user.target\\n' >>%{{buildroot}}/usr/lib/systemd/system/fence_virtd.service
%preun -n fence-virtd
[ "$1" -gt 0 ] || systemctl --no-reload disable --now fence_virtd.service || :
%files -n shell
%files -n fence-virt
/usr/sbin/fence_xvm
%files -n fence-virtd
%config(noreplace) /etc/fence_virt.conf
/usr/sbin/fence_virtd
/usr/lib/systemd/system/fence_virtd.service
"""
PACKAGE = "%package -n {0}\nVersion: {1}\nSummary: x\n%description -n {0}\nx\n%files -n {0}\n"
DNF = (
    # No systemd runs: systemctl works on files alone.
    "SYSTEMD_OFFLINE=1 dnf --installroot=$ROOT --disablerepo=* --setopt=reposdir=/none --setopt=cachedir=$ROOT/tmp/dnf"
    " --setopt=persistdir=$ROOT/tmp/dnf --noplugins --nogpgcheck --releasever=1 -y"
)
# Debian's own fence-virt and fence-virtd leave; systemctl, which without a systemd works on the files of a root, comes.
PREPARE = """
rm -rf $ROOT/etc/fence_virt* $ROOT/etc/init.d/fence_virtd $ROOT/etc/systemd/system/*/fence_virtd.service
rm -f $ROOT/usr/sbin/fence_* $ROOT/lib/systemd/system/fence_virtd.service
for file in $(command -v systemctl) $(ldd "$(command -v systemctl)" | grep -o '/[^ ]*'); do
    [ -e "$ROOT$file" ] || install -D "$(readlink -f "$file")" "$ROOT$file"
done
"""


def make_stand_ins(folder: Path) -> Path:
    """Build them into ``folder``, whose sub-folder with the packages is returned."""
    rpmbuild = require_program("rpmbuild", package="rpm")
    brought = "".join(PACKAGE.format(name, version) for name, version in BROUGHT.items())
    (folder / "standin.spec").write_text(SPEC.format(brought=brought))
    places = {"_topdir": folder / "top", "_rpmdir": folder / "rpms", "_dbpath": folder / "database"}
    defines = [word for key, value in places.items() for word in ("--define", f"{key} {value}")]
    command = [str(rpmbuild), "-bb", *defines, str(folder / "standin.spec")]
    done = subprocess.run(command, capture_output=True, text=True, env=DEBIANS_ALONE, timeout=50)
    assert done.returncode == 0, done.stderr
    return folder / "rpms" / "noarch"


def rpm_root(layer: Path, stand_ins: Path) -> FreshRoot:
    """A root in which the C programs' packages are installed, and the unit starts at boot; nothing else is RPM's."""
    require_program("dnf", package="dnf")
    require_program("systemctl", package="systemd")
    root = FreshRoot(layer, pristine(), stand_ins)
    root.from_outside(f"{PREPARE}\n{DNF} install {stand_ins}/*.rpm")
    root.must("systemctl", "enable", "fence_virtd.service")
    return root
