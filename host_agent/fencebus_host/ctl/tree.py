"""Decides how a group of commands helps: what was probably meant by a wrong word, and each command's first sentence."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

import click


class Group(click.Group):
    """A group that names the command nearest to a wrong one, and cuts no sentence in its list."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See click."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            from fencebus_host.config.problems import did_you_mean  # all of the configuration: a tenth of a second

            hint = did_you_mean(args[0], self.list_commands(ctx))
            raise click.UsageError(f"there is no command {args[0]!r} ({hint})", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See click."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, first_sentence(each)) for name, each in found if each is not None])


def first_sentence(command: click.Command) -> str:
    """What a command does, in one line or two."""
    text = " ".join(inspect.cleandoc(command.help or "").split("\n\n")[0].split())
    return _up_to_its_end(text.split(". "))


def _up_to_its_end(sentences: Sequence[str]) -> str:
    return sentences[0] if sentences[0].endswith(".") or not sentences[0] else f"{sentences[0]}."
