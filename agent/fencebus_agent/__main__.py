"""fencebus-agentd: shows a host's virtual machines to QMF consoles, where only the inventory is wanted."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from fencebus_agent import agentd_options
from fencebus_agent.agentd_options import PROGRAM, Answer, UsageError
from fencebus_schemas.bus_url import BadBusUrl
from fencebus_schemas.libraries import library_of, to_install

EXIT_FAILED = 1
EXIT_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; returns its exit status."""
    try:
        asked = agentd_options.read(sys.argv[1:] if arguments is None else arguments, os.environ)
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_USAGE
    if isinstance(asked, Answer):
        sys.stdout.write(asked.text)
        return 0
    if find_spec("libvirt") is None:
        sys.stderr.write(f"{PROGRAM}: not installed: libvirt; on a host: pip install 'fencebus[host]'\n")
        return EXIT_FAILED
    from fencebus_agent.agentd import serve

    level = logging.DEBUG if asked.debug else logging.INFO
    logging.basicConfig(level=level, format=f"%(asctime)s {PROGRAM} %(levelname)s %(message)s")
    try:
        asyncio.run(serve(asked))
    except (BadBusUrl, ImportError) as error:
        sys.stderr.write(f"{PROGRAM}: {_words(error)}\n")
        return EXIT_FAILED
    return 0


def _words(error: BadBusUrl | ImportError) -> str:
    library = "" if isinstance(error, BadBusUrl) else library_of(error)
    return f"not installed: {library}; {to_install(library)}" if library else str(error)


if __name__ == "__main__":
    sys.exit(main())
