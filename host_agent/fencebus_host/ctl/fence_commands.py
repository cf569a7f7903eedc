"""`fence_virtctl fence` and `test-fence`: a fence that root of this host orders, and its rehearsal."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from fencebus_host.ctl import status_print
from fencebus_host.ctl.completion import vm_names
from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_host.ctl.options import config_option, format_option
from fencebus_host.ctl.status_source import asked
from fencebus_schemas.status import FinishedFence, Rehearsal

ACTIONS = click.Choice(["off", "reboot", "on"])
ANSWER_SECONDS = 10.0
"""Beyond the patience of the request itself."""
LEFT = "nobody waits for it any more; whether it was done all the same, `fence_virtctl history` says\n"

vm_argument = click.argument("vm", metavar="VM", shell_complete=vm_names)
action_option = click.option("--action", type=ACTIONS, default="off", help="What is done; off by default.")


@click.command()
@vm_argument
@action_option
@click.option("--dry-run", is_flag=True, help="Say what would be done, by whom, and what would be missing.")
@click.option("--yes", is_flag=True, help="Do not ask whether it is meant.")
@click.option("--patience", type=click.FloatRange(1, 300), default=25.0, help="Seconds until it has failed.")
@format_option(*status_print.FORMATS)
@config_option
def fence(vm: str, action: str, dry_run: bool, yes: bool, patience: float, form: str, file: Path | None) -> ExitCode:
    """Fence VM, by name or UUID: kill it wherever it runs, and say whether its end is proven.

    The groups of the configuration do not apply: root of this host asks. The exit status is 0 if the fence succeeded,
    10 if it did not.

    \b
    Examples:
      fence_virtctl fence node1 --dry-run
      fence_virtctl fence node1 --action reboot --yes
    """
    if dry_run:
        return _rehearse(vm, action, "", form, file)
    if not yes and not _confirmed(f"{action} of {vm}: really?"):
        return ExitCode.DECLINED
    about = {"vm": vm, "action": action, "patience": patience}
    try:
        found = asked(FinishedFence, file, "fence", about, patience + ANSWER_SECONDS)
    except KeyboardInterrupt:
        sys.stderr.write(LEFT)
        return ExitCode.FAILED
    if form == "text":
        from fencebus_host.ctl.explain_text import outcome_line

        status_print.show(outcome_line(found))
        if not found.ok:
            sys.stderr.write(f"fence_virtctl explain {found.id[:12]} says more\n")
    else:
        from fencebus_schemas.status_tables import FENCE_HEAD, fence_rows

        status_print.tell(form, "fence", found, lambda: [FENCE_HEAD, *fence_rows([found])])
    return ExitCode.OK if found.ok else ExitCode.NOT_FENCED


@click.command("test-fence")
@vm_argument
@action_option
@click.option("--from", "guest", default="", shell_complete=vm_names, help="Rehearse it as if this guest had asked.")
@format_option(*status_print.FORMATS)
@config_option
def test_fence(vm: str, action: str, guest: str, form: str, file: Path | None) -> ExitCode:
    """Rehearse a fence of VM: every step up to where something would be done; nothing is.

    Also this host's own multicast and TCP listeners are asked, signed as a guest's request is, whether they answer. The
    exit status is 0 if the fence would go well, 10 if not.

    \b
    Examples:
      fence_virtctl test-fence node1
      fence_virtctl test-fence node1 --from node2
    """
    return _rehearse(vm, action, guest, form, file, ways=True)


def _confirmed(question: str) -> bool:
    try:
        said = click.confirm(question, err=True)
    except click.Abort:
        sys.stderr.write("\n")
        said = False
    if not said:
        sys.stderr.write("nothing was done\n")
    return said


def _rehearse(vm: str, action: str, guest: str, form: str, file: Path | None, ways: bool = False) -> ExitCode:
    found = asked(Rehearsal, file, "rehearse", {"vm": vm, "action": action, "from": guest}, ANSWER_SECONDS)
    if ways:
        from fencebus_host.ctl.fence_ways import with_ways

        found = with_ways(found, file)
    if form == "text":
        from fencebus_host.ctl.explain_text import rehearsal_text

        status_print.show(rehearsal_text(found))
    else:
        from fencebus_schemas.status_tables import STEP_HEAD, step_rows

        status_print.tell(form, "rehearsal", found, lambda: [STEP_HEAD, *step_rows(found.steps)])
    return ExitCode.OK if found.ok else ExitCode.NOT_FENCED
