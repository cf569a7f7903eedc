"""`fence_virtctl explain`: why a fence came out as it did."""

from __future__ import annotations

from pathlib import Path

import click

from fencebus_host.control_client import NoDaemon
from fencebus_host.ctl import status_print
from fencebus_host.ctl.completion import vm_names
from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_host.ctl.options import config_option, format_option
from fencebus_host.ctl.status_source import asked, state_dir_of
from fencebus_schemas.status import Explanation


@click.command()
@click.argument("about", metavar="ID|VM", shell_complete=vm_names)
@format_option(*status_print.FORMATS)
@config_option
def explain(about: str, form: str, file: Path | None) -> ExitCode:
    """Tell which rule decided a power action, on which observations, and what was missing.

    ID is that of a request, as logs and `history` show it, or its beginning; with a VM the last action on it is
    explained. The rules are asked anew, on the evidence that was kept.

    \b
    Examples:
      fence_virtctl explain 3f2a91c0
      fence_virtctl explain node1
    """
    found = _asked(about, file)
    if form == "text":
        from fencebus_host.ctl.explain_text import explanation_text

        status_print.show(explanation_text(found))
    else:
        from fencebus_schemas.status_tables import RULE_HEAD, rule_rows

        status_print.tell(form, "explain", found, lambda: [RULE_HEAD, *rule_rows(found.rules)])
    return ExitCode.OK


def _asked(about: str, file: Path | None) -> Explanation:
    try:
        return asked(Explanation, file, "explain", {"about": about})
    except NoDaemon:
        from fencebus_host.control_written import explain_written

        return explain_written(state_dir_of(file), about)
