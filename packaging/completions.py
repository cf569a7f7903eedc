"""Converts the option tables to completion files for bash and zsh."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fencebus_agent import agentd_options
from fencebus_guest import options
from fencebus_host.config.command_line import OPTIONS

DIGESTS = "none sha1 sha256 sha512"
# What can follow an option, where that is a few words; an option with <file> or <device> completes files.
WORDS = {
    "action": " ".join(options.ACTIONS),
    "hash": DIGESTS,
    "auth": DIGESTS,
    "ip_family": "auto ipv4 ipv6",
}
FILES = ("<file>", "<device>", "FILE", "FOLDER")

BASH = """\
# bash completion for {program}; made from its option table
_{program}() {{
    local previous=${{COMP_WORDS[COMP_CWORD-1]}} current=${{COMP_WORDS[COMP_CWORD]}}
    case "$previous" in
{cases}    esac
    mapfile -t COMPREPLY < <(compgen -W "{flags}" -- "$current")
}}
complete -F _{program} {program}
"""
CASE = """\
    {flags})
        mapfile -t COMPREPLY < <(compgen {how} -- "$current")
        return
        ;;
"""
# click answers on its own what fits; the programs only have to ask.
BASH_CLICK = """\
# bash completion for fence_virtctl: the program itself knows what fits
_fence_virtctl() {
    local kind value
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case "$kind" in
        dir) compopt -o dirnames 2>/dev/null ;;
        file) compopt -o default 2>/dev/null ;;
        plain) COMPREPLY+=("$value") ;;
        esac
    done < <(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _FENCE_VIRTCTL_COMPLETE=bash_complete \\
        "$1" 2>/dev/null)
}
complete -o nosort -F _fence_virtctl fence_virtctl
"""
ZSH_CLICK = """\
#compdef fence_virtctl
# zsh completion for fence_virtctl: the program itself knows what fits
local -a answer words_found
local kind value help
answer=("${(@f)$(COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) _FENCE_VIRTCTL_COMPLETE=zsh_complete fence_virtctl \
2>/dev/null)}")
for kind value help in "${answer[@]}"; do
    case "$kind" in
    plain) words_found+=("$value${help:+:${help#_}}") ;;
    *) _files ;;
    esac
done
(( $#words_found )) && _describe 'fence_virtctl' words_found
"""


@dataclass(frozen=True)
class Flag:
    """One option as a completion knows it."""

    names: tuple[str, ...]
    text: str
    metavar: str
    words: str


def client_flags(program: str) -> list[Flag]:
    """Return what completes after `program`, one of the two clients."""
    known = [option for option in options.options_of(program) if not option.hidden and option.letter != "?"]
    return [_client_flag(option) for option in known] + [Flag(names, text, "", "") for names, text in options.BEYOND_C]


def _client_flag(option: options.Option) -> Flag:
    long = option.name or option.setting
    return Flag((f"-{option.letter}", f"--{long.replace('_', '-')}"), option.text, option.metavar, WORDS.get(long, ""))


def daemon_flags() -> list[Flag]:
    """Return what completes after fence_virtd."""
    return [Flag((f"-{each.letter}", f"--{each.name}"), each.text, each.metavar, "") for each in OPTIONS]


def agent_flags() -> list[Flag]:
    """Return what completes after fencebus-agentd."""
    known = agentd_options.OPTIONS
    return [Flag((f"-{each.letter}", f"--{each.name}"), each.text, each.metavar, "") for each in known]


def bash(program: str, flags: Iterable[Flag]) -> str:
    """Return the completion file of `program` for bash."""
    listed = list(flags)
    cases = "".join(_bash_case(flag) for flag in listed if flag.metavar)
    return BASH.format(program=program, cases=cases, flags=" ".join(name for flag in listed for name in flag.names))


def _bash_case(flag: Flag) -> str:
    how = f'-W "{flag.words}"' if flag.words else "-f" if flag.metavar in FILES else '-W ""'
    return CASE.format(flags=" | ".join(flag.names), how=how)


def zsh(programs: Iterable[str], flags: dict[str, list[Flag]]) -> str:
    """Return one completion file of zsh for the `programs`."""
    names = list(programs)
    cases = "".join(f"{name})\n    _arguments {_zsh_arguments(flags[name])}\n    ;;\n" for name in names)
    return (
        f'#compdef {" ".join(names)}\n# zsh completion, made from the option tables\ncase "$service" in\n{cases}esac\n'
    )


def _zsh_arguments(flags: Iterable[Flag]) -> str:
    return " \\\n        ".join(_zsh_argument(flag, name) for flag in flags for name in flag.names)


def _zsh_argument(flag: Flag, name: str) -> str:
    text = "".join(" " if sign in "[]:'\n" else sign for sign in flag.text)
    value = ""
    if flag.metavar:
        what = flag.metavar.strip("<>").lower()
        value = f":{what}:" + (f"({flag.words})" if flag.words else "_files" if flag.metavar in FILES else " ")
    return f"'{name}[{text}]{value}'"
