"""Converts power actions to what people read on a terminal: a table, or two lines for each where that is too wide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fencebus_schemas.status import FinishedFence, RunningFence
from fencebus_schemas.status_tables import clock, visible

WIDE = 120
"""Columns from which on a table can hold why a fence failed."""
UNFOLDED = ("TIME", "ACTION", "SECONDS", "ID")


@dataclass(frozen=True, slots=True)
class Fences:
    """Power actions, those that run first; how they are shown hangs on the width that there is."""

    finished: Sequence[FinishedFence]
    running: Sequence[RunningFence] = ()

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """See rich."""
        if options.max_width >= WIDE:
            yield self._table()
        else:
            yield from self._lines()

    def _all(self) -> Iterator[tuple[RunningFence | FinishedFence, Text]]:
        for one in self.running:
            yield one, Text("running", "cyan")
        for each in self.finished:
            yield each, Text(each.reason, "green" if each.ok else "bold red")

    def _table(self) -> Table:
        made = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
        for column in ("TIME", "ACTION", "VM", "BY", "RESULT", "SECONDS", "ID"):
            made.add_column(column, overflow="fold", no_wrap=column in UNFOLDED)
        for fence, result in self._all():
            text = f": {_failure(fence)}" if _failure(fence) else ""
            target, asked = Text(visible(fence.target)), Text(_asker(fence))
            when, took = clock(fence.at)[:19], f"{fence.seconds:.2f}"
            made.add_row(when, fence.action, target, asked, result.append(text, "default"), took, fence.id[:12])
        return made

    def _lines(self) -> Iterator[RenderableType]:
        named = [cell_len(visible(fence.target)) for fence, _ in self._all()]
        width = max([*(each for each in named if each <= 24), 2])
        yield Text(f"{'TIME':14}  {'ACTION':6}  {'VM':{width}}  RESULT  SECONDS  ID", "bold")
        for fence, result in self._all():
            when, target = clock(fence.at)[5:19].replace("T", " "), visible(fence.target)
            blanks = " " * max(0, width - cell_len(target))
            took = f"  {fence.seconds:.2f}  {fence.id[:12]}"
            yield Text.assemble(f"{when:14}  {fence.action:6}  {target}{blanks}  ", result, took)
            said = f"{_asker(fence)}: {_failure(fence)}" if _failure(fence) else _asker(fence)
            yield Padding(Text(said, "dim"), (0, 0, 0, 4))


def _failure(fence: RunningFence | FinishedFence) -> str:
    return visible(fence.text) if isinstance(fence, FinishedFence) and not fence.ok else ""


def _asker(fence: RunningFence | FinishedFence) -> str:
    return visible(f"{fence.by or fence.source} ({fence.via})")
