"""Converts the option table to the metadata that Pacemaker asks a fence agent for, as C's client prints it."""

from __future__ import annotations

from .help import NOTE
from .options import ACTIONS, DOMAIN, Option, options_of


def metadata(program: str) -> str:
    """Return the XML document."""
    parameters = "".join(_parameter(option) for option in (*options_of(program), DOMAIN) if option.name)
    actions = "".join(f'\t<action name="{action}" />\n' for action in ACTIONS)
    return (
        '<?xml version="1.0" ?>\n'
        f'<resource-agent name="{program}" shortdesc="Fence agent for virtual machines">\n'
        f"<longdesc>{program} is an I/O Fencing agent which can be used with virtual machines.\n\n{NOTE}</longdesc>\n"
        "<vendor-url>https://libvirt.org</vendor-url>\n"
        f"<parameters>\n{parameters}</parameters>\n<actions>\n{actions}</actions>\n</resource-agent>\n"
    )


def _parameter(option: Option) -> str:
    mark = f" {option.mark}" if option.mark else ""
    default = f' default="{option.default}"' if option.default is not None else ""
    mixed = f"-{option.letter}" if option.letter else ""
    return (
        f'\t<parameter name="{option.name}" unique="0" required="{int(option.required)}"{mark}>\n'
        f'\t\t<getopt mixed="{mixed}" />\n'
        f'\t\t<content type="{option.type}"{default} />\n'
        f'\t\t<shortdesc lang="en">{option.text}</shortdesc>\n'
        "\t</parameter>\n"
    )
