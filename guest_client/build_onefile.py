"""Converts the guest client's packages to dist/fence_virt: one executable file that an administrator copies into a
guest.

The file is a zip archive behind a shebang line. It holds the source, which every Python from 3.9 on runs, and the
byte code of the interpreters named with --python (the system's by default), which starts faster. Stored, not
deflated: inflating takes longer than reading.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent
SHEBANG = b"#!/usr/bin/python3 -IS\n"
SCHEMAS = ("__init__", "digest", "errors", "fingerprint", "frozen", "handshake", "serialline", "xvm")
"""The modules of fencebus_schemas that the client needs."""

# A fixed time (the earliest that a zip can hold) makes the file the same for the same source.
EPOCH = (1980, 1, 1, 0, 0, 0)

# Byte code is found under the interpreter's own folder; __main__ itself is compiled at each start, so it is short.
START = """import sys
sys.path.insert(0, sys.path[0] + "/" + sys.implementation.cache_tag)
from fencebus_guest.main import main
sys.exit(main(sys.argv))
"""
COMPILE = """import py_compile, sys
for source, shown, target in zip(*[iter(sys.argv[1:])] * 3):
    py_compile.compile(source, target, shown, doraise=True, optimize=2,
                       invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
print(sys.implementation.cache_tag)
"""


def sources() -> dict[str, Path]:
    """Return the archive's names of all source files, and where they are."""
    files = {f"fencebus_guest/{path.name}": path for path in sorted((HERE / "fencebus_guest").glob("*.py"))}
    schemas = CHECKOUT / "schemas" / "fencebus_schemas"
    return {**files, **{f"fencebus_schemas/{name}.py": schemas / f"{name}.py" for name in SCHEMAS}}


def byte_code(python: str, folder: Path) -> dict[str, bytes]:
    """Return the compiled files for the interpreter `python`, by their names in the archive."""
    arguments: list[str] = []
    compiled = {name: folder / (name + "c") for name in sources()}
    for name, path in sources().items():
        compiled[name].parent.mkdir(parents=True, exist_ok=True)
        arguments += [str(path), name, str(compiled[name])]
    done = subprocess.run([python, "-IS", "-c", COMPILE, *arguments], capture_output=True, text=True, check=True)
    return {f"{done.stdout.strip()}/{name}c": path.read_bytes() for name, path in compiled.items()}


def build(target: Path, pythons: list[str]) -> None:
    """Write the one file to `target`, executable by everybody."""
    content = {"__main__.py": START.encode()}
    with tempfile.TemporaryDirectory() as folder:
        for python in pythons:
            content.update(byte_code(python, Path(folder)))
    content.update({name: path.read_bytes() for name, path in sources().items()})
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        file.write(SHEBANG)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, data in content.items():
                archive.writestr(zipfile.ZipInfo(name, EPOCH), data)
    target.chmod(0o755)


def main(arguments: list[str]) -> None:
    """Build what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=CHECKOUT / "dist" / "fence_virt")
    parser.add_argument("--python", action="append", help="an interpreter to add byte code for")
    options = parser.parse_args(arguments)
    build(options.output, options.python or ["/usr/bin/python3"])
    size = options.output.stat().st_size
    print(f"{os.path.relpath(options.output)}: {size} bytes; copy it as fence_virt or fence_xvm")


if __name__ == "__main__":
    main(sys.argv[1:])
