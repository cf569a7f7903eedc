"""Decides which options exist: the one table from which parser, help and metadata are made.

An option is usable where its letter stands in a program's getopt string; both strings are C's (fence-virt,
client/main.c). The order of the letters is the order of help and metadata.
"""

from __future__ import annotations

from fencebus_schemas.frozen import Frozen

FENCE_XVM = "fence_xvm"
FENCE_VIRT = "fence_virt"

LETTERS = {
    FENCE_XVM: "di:a:p:r:C:c:k:M:n:H:uo:t:?hVw:",
    FENCE_VIRT: "dD:P:A:p:M:n:H:o:t:?hVT:S::C:c:k:w:",
}

NO_VALUE = 0
VALUE = 1
ATTACHED_VALUE = 2
"""The value is optional, and must follow the letter without a blank (``-S3``)."""

HELP = "help"
VERSION = "version"
DOCTOR = "doctor"
JSON = "json"
VERBOSE = "verbose"

BEYOND_C = (
    (("-v", "--verbose"), "Say which way the request takes, and why"),
    (("--doctor",), "Look for what keeps this guest from fencing; nothing is fenced"),
    (("--json",), "Print the answer to status and list as JSON"),
)
"""Options that C's client does not have, and what help, man pages and completions say of them."""


class Option(Frozen):
    """One option: its letter ("" for none), its name on standard input and as long option, and what help and metadata
    say.
    """

    __slots__ = ("default", "hidden", "letter", "mark", "metavar", "name", "required", "setting", "text", "type")
    default: str | None
    hidden: bool
    letter: str
    mark: str
    metavar: str
    name: str
    required: bool
    setting: str
    text: str
    type: str

    def __init__(
        self,
        letter: str,
        name: str,
        metavar: str,
        text: str,
        *,
        setting: str = "",
        default: str | None = None,
        type_: str = "string",
        mark: str = "",
        required: bool = False,
        hidden: bool = False,
    ) -> None:
        self._fill(default, hidden, letter, mark, metavar, name, required, setting or name, text, type_)


_TARGET = "Virtual Machine (domain name) to fence"

OPTIONS = (
    Option("d", "debug", "", "Specify (stdin) or increment (command line) debug level", type_="boolean"),
    Option("i", "ip_family", "<family>", "IP Family ([auto], ipv4, ipv6)", default="auto"),
    Option("a", "multicast_address", "<address>", "Multicast address (default=225.0.0.12 / ff05::3:1)"),
    Option(
        "T",
        "ipaddr",
        "<address>",
        "IP address to connect to in TCP mode (default=127.0.0.1 / ::1)",
        default="127.0.0.1",
    ),
    Option("S", "vsock", "<cid>", "vm socket CID to connect to in vsock mode", default="2", type_="integer"),
    Option("A", "channel_address", "<address>", "VM Channel IP address (default=10.0.2.179)", default="10.0.2.179"),
    Option("p", "ipport", "<port>", "TCP, Multicast, VMChannel, or VM socket port (default=1229)", default="1229"),
    Option("r", "retrans", "<retrans>", "Multicast retransmit time (in 1/10sec; default=20)", default="20"),
    Option("c", "hash", "<hash>", "Packet hash strength (none, sha1, [sha256], sha512)", default="sha256"),
    Option("C", "auth", "<auth>", "Authentication (none, sha1, [sha256], sha512)", default="sha256"),
    Option(
        "k",
        "key_file",
        "<file>",
        "Shared key file (default=/etc/cluster/fence_xvm.key)",
        default="/etc/cluster/fence_xvm.key",
    ),
    Option("D", "serial_device", "<device>", "Serial device (default=/dev/ttyS1)", default="/dev/ttyS1"),
    Option("P", "serial_params", "<param>", "Serial Parameters (default=115200,8N1)", default="115200,8N1"),
    Option(
        "o",
        "action",
        "<operation>",
        "Fencing action (null, off, on, [reboot], status, list, list-status, monitor, validate-all, metadata)",
        default="reboot",
    ),
    Option("n", "plug", "<domain>", _TARGET, mark='obsoletes="port"', required=True),
    Option("H", "port", "<domain>", _TARGET, setting="plug", mark='deprecated="1"', required=True, hidden=True),
    Option(
        "u",
        "use_uuid",
        "",
        "Treat [domain] as UUID instead of domain name. This is provided for compatibility with older fence_xvmd"
        " installations.",
        default="0",
    ),
    Option("t", "timeout", "<timeout>", "Fencing timeout (in seconds; default=30)", default="30"),
    Option("w", "delay", "<delay>", "Fencing delay (in seconds; default=0)", default="0"),
    Option("?", "", "", "Help (alternate)", setting=HELP),
    Option("h", "", "", "Help", setting=HELP),
    Option("V", "", "", "Display version and exit", setting=VERSION),
)

DOMAIN = Option(
    "", "domain", "", f"{_TARGET} (deprecated; use port)", setting="plug", mark='deprecated="1"', hidden=True
)
"""Known on standard input only, and the last parameter of the metadata."""

ALIASES = {"option": "action"}
IGNORED = ("agent", "self", "nodename")
"""What Pacemaker and fenced pass along on standard input without meaning us."""

ACTIONS = (
    "null",
    "on",
    "off",
    "reboot",
    "metadata",
    "status",
    "monitor",
    "list",
    "list-status",
    "validate-all",
)
"""In the order of the metadata."""

_BY_LETTER = {option.letter: option for option in OPTIONS}


def options_of(program: str) -> list[Option]:
    """Return the options of ``program`` in the order of its getopt string."""
    return [_BY_LETTER[letter] for letter in LETTERS[program] if letter in _BY_LETTER]


def arity(program: str, letter: str) -> int | None:
    """Return how many values ``letter`` takes in ``program``: NO_VALUE, VALUE, ATTACHED_VALUE; None for an unknown
    one.
    """
    at = LETTERS[program].find(letter)
    if letter in ":-" or at < 0:
        return None
    behind = LETTERS[program][at + 1 : at + 3]
    return ATTACHED_VALUE if behind == "::" else VALUE if behind[:1] == ":" else NO_VALUE


def by_letter(letter: str) -> Option | None:
    """Return the option of ``letter``; None for ``M``, which C's getopt strings hold and its table does not."""
    return _BY_LETTER.get(letter)


def by_name(program: str, name: str) -> Option | None:
    """Return the option that ``program`` knows under this name (any case) on standard input, or None."""
    plain = ALIASES.get(name.lower(), name.lower())
    for option in (*options_of(program), DOMAIN):
        if option.name == plain and plain:
            return option
    return None
