"""Converts the option table to the help text of C's client, and to the lines about what C's does not have."""

from __future__ import annotations

from .options import BEYOND_C, Option, options_of

NAME_WIDTH = 20
TEXT_WIDTH = 55
NOTE = "NOTE: reboot-action does not power on nodes that are powered off."
STANDARD_INPUT = """
With no command line argument, arguments are read from standard input.
Arguments read from standard input take the form of:

    arg1=value1
    arg2=value2

"""
LONG = """
Every name above is a long option as well (--plug vm1, --action=off), and there are:

  --help                Help
  --version             Display version and exit
"""
RELEASE = "1.9.0"
"""The version of C's client that this one stands in for."""


def usage(argv0: str, program: str) -> str:
    """Return the whole help text."""
    return (
        f"usage: {argv0} [args]\n\n{NOTE}\n\n" + letters(program) + STANDARD_INPUT + names(program) + LONG + _beyond_c()
    )


def _beyond_c() -> str:
    return "".join(f"  {', '.join(names):20}  {text}\n" for names, text in BEYOND_C)


def letters(program: str) -> str:
    """Return the lines about the options with a letter, in the order of C's getopt string."""
    return "".join(_lines(f"-{o.letter} {o.metavar}".rstrip(), o.text) for o in options_of(program) if not o.hidden)


def names(program: str) -> str:
    """Return the lines about the names on standard input."""
    return "".join(_lines(o.name, o.text) for o in _named(program))


def _named(program: str) -> list[Option]:
    return [option for option in options_of(program) if option.name and not option.hidden]


def _lines(head: str, text: str) -> str:
    rows = [""]
    for word in text.split(" "):
        if rows[-1] and len(rows[-1]) + 1 + len(word) > TEXT_WIDTH:
            rows.append(word)
        else:
            rows[-1] = f"{rows[-1]} {word}".lstrip()
    heads = [head] + [""] * len(rows)
    return "".join(f"  {left:<{NAME_WIDTH}}  {row}".rstrip() + "\n" for left, row in zip(heads, rows))


def version(program: str) -> str:
    """Return what ``-V`` prints."""
    from fencebus_schemas import __version__

    return f"{program} {RELEASE}\nfence release fencebus {__version__}\n"
