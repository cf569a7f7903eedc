"""Fuzzes one target with atheris in this process: `python -m tests.fuzz.one TARGET [libFuzzer's arguments]`."""

from __future__ import annotations

import sys

import atheris


def main() -> None:
    """Fuzz; ends the process, with a status other than 0 if the target raised."""
    name = sys.argv.pop(1)
    # The parser's library takes seconds to instrument; only where it is the one that reads the bytes.
    library = ["lark"] if name.startswith("config") else []
    with atheris.instrument_imports(include=["fencebus_schemas", "fencebus_host", *library]):
        from tests.fuzz.targets import TARGETS
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
