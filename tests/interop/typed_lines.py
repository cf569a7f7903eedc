"""Types lines of pcs or crm one after the other; Python, which takes longer to start than a line takes, starts once.

The tool is loaded as its program does it, and its own `main` then runs each line in a child of that process.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Sequence

from tests.components import require_file
from tests.interop.programs import Answer, run

DEBIANS_PYTHON = "/usr/bin/python3"
_PACKAGES = {"pcs": "pcs", "crm": "crmsh"}
# The two steps of the programs themselves.
_LOADED = {
    "pcs": "from pcs.entry_points.cli import main",
    "crm": "from crmsh import log; log.setup_logging(); from crmsh.main import run as main",
}
_LIMIT = 100.0
# It ends with the status of the first line that fails, and has said which one that was.
_DRIVER = """
import json, os, sys
program, lines = sys.argv[1], json.loads(sys.argv[2])
for line in lines:
    child = os.fork()
    if not child:
        sys.argv = [program, *line]
        sys.exit(main())
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        sys.exit(f"{line}: {status}")
"""


def typed(lines: Sequence[str], prefix: Sequence[str] = (), first: Sequence[str] = ()) -> Answer:
    """What comes of typing lines of one tool.

    ``prefix`` is what runs a program at the place in question; ``first`` are options before those of each line.
    """
    words = [_as_a_shell_reads(line) for line in lines]
    (tool,) = {line[0] for line in words}
    program = str(require_file(f"/usr/sbin/{tool}", _PACKAGES[tool]))
    typed_words = json.dumps([[*first, *line[1:]] for line in words])
    return run([*prefix, DEBIANS_PYTHON, "-Ic", f"{_LOADED[tool]}\n{_DRIVER}", program, typed_words], limit=_LIMIT)


def _as_a_shell_reads(line: str) -> list[str]:
    """The words of a line, by a real shell: what it would run in place of the tool is only shown."""
    tool, _, rest = line.partition(" ")
    script = f"printf '%s\\0' {shlex.quote(tool)} {rest}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split("\0")[:-1]
