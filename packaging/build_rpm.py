"""Converts the checkout to RPM packages: copies what they are made of, makes the pages, runs rpmbuild.

`make package` calls it; it needs rpmbuild (Debian's package rpm). The packages go to the folder that the
command line names.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from build_debian import CHECKOUT, copy_sources, version


def build(target: Path) -> list[Path]:
    """Build the packages into the folder `target` and return them; a failure ends with what rpmbuild said."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fencebus-rpm-") as name:
        tree = Path(name) / "fencebus"
        tree.mkdir()
        copy_sources(tree)
        _run([sys.executable, "packaging/pages.py", "pages"], tree)
        # Made by the pages just now.
        for cache in tree.rglob("__pycache__"):
            shutil.rmtree(cache)
        _run(_rpmbuild(Path(name), tree), tree)
        return [Path(shutil.copy2(path, target)) for path in sorted(Path(name).glob("rpms/**/*.rpm"))]


def _rpmbuild(folder: Path, tree: Path) -> list[str]:
    macros = {"_topdir": folder / "top", "_rpmdir": folder / "rpms", "_dbpath": folder / "database"}
    macros |= {"fencebus_sources": tree}
    defines = [word for key, value in macros.items() for word in ("--define", f"{key} {value}")]
    defines += ["--define", f"fencebus_version {version()}"]
    return ["rpmbuild", "-bb", *defines, str(CHECKOUT / "packaging" / "rpm" / "fencebus.spec")]


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)


def main() -> int:
    """Build into the folder that the command line names, dist/ without one; print the packages' paths."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else CHECKOUT / "dist"
    for package in build(target):
        sys.stdout.write(f"{package}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
