"""Converts the checkout to Debian packages: copies what they are made of, adds a changelog, runs dpkg-buildpackage.

`make package` calls it; it needs dpkg-dev and debhelper. The packages go to the folder named on the command line.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
SOURCES = (
    *("agent", "broker_config", "guest_client", "host_agent", "schemas"),
    *("packaging", "docs", "README.md", "CHANGELOG.md"),
)
# A fixed time makes the packages of the same source the same.
CHANGELOG = """\
fencebus ({version}) unstable; urgency=medium

  * Made from the sources; CHANGELOG.md tells what changed.

 -- fencebus developers <fencebus@example.org>  Thu, 01 Jan 2026 00:00:00 +0000
"""


def version() -> str:
    """Return the Debian form of the version in fencebus_schemas (1.0rc1 becomes 1.0~rc1, which sorts before 1.0)."""
    text = (CHECKOUT / "schemas" / "fencebus_schemas" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise SystemExit("schemas/fencebus_schemas/__init__.py: no __version__")
    return re.sub(r"\.?(a|b|rc|dev)(\d+)", r"~\1\2", found.group(1))


def copy_sources(tree: Path) -> None:
    """Fill the folder `tree` with what the packages are made of, debian/ at its top."""
    unwanted = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info")
    for name in SOURCES:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=unwanted, symlinks=True)
        else:
            shutil.copy2(source, tree / name)
    shutil.copytree(CHECKOUT / "packaging" / "debian", tree / "debian")
    (tree / "debian" / "changelog").write_text(CHANGELOG.format(version=version()), encoding="utf-8")


def build(target: Path) -> list[Path]:
    """Build the packages into the folder `target` and return them; a failure ends with what the build said."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fencebus-debian-") as name:
        tree = Path(name) / "fencebus"
        tree.mkdir()
        copy_sources(tree)
        command = ["dpkg-buildpackage", "--build=binary", "--no-sign", "--no-check-builddeps"]
        done = subprocess.run(command, cwd=tree, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        return [Path(shutil.copy2(path, target)) for path in sorted(Path(name).glob("*.deb"))]


def main() -> int:
    """Build into the folder that the command line names, dist/ without one; print the packages' paths."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else CHECKOUT / "dist"
    for package in build(target):
        sys.stdout.write(f"{package}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
