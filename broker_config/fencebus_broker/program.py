"""Decides which commands fencebus_broker has, and turns whatever ends one into an exit status."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from enum import IntEnum
from pathlib import Path

import click

from fencebus_broker.findings import Finding
from fencebus_broker.rendering import KINDS, render
from fencebus_broker.site import site
from fencebus_broker.where import of_folder, places
from fencebus_schemas import __version__
from fencebus_schemas.bus_url import AMQP_1, Broker, Tls
from fencebus_schemas.errors import FencebusError
from fencebus_schemas.libraries import is_there, to_install

PROGRAM = "fencebus_broker"


class ExitCode(IntEnum):
    """Exit statuses; 2 is a wrong command line's."""

    OK = 0
    FAILED = 1
    INTERRUPTED = 4


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name=PROGRAM)
def commands() -> None:
    """Makes settings for message brokers, and looks what a broker lets fencebus do."""


@commands.command("render")
@click.option("--broker", type=click.Choice(list(KINDS)), required=True, help="The kind of broker.")
@click.option("--hosts", metavar="A,B,C", required=True, help="The hosts' ids, as in their configuration.")
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), required=True, help="Where to write.")
@click.option("--brokers", metavar="[NODE@]ADDRESS[:PORT],...", default="", help="Where the brokers are reached.")
@click.option(
    "--federated", is_flag=True, help="The brokers stand alone and pass messages on; else they are a cluster."
)
@click.option("--domain", default="default", show_default=True, help="The QMF domain: which exchanges.")
@click.option("--watchers", metavar="USER,...", default="watcher", show_default=True, help="Users who may only look.")
@click.option("--operators", metavar="USER,...", default="", help="Users who may call methods of QMF agents.")
@click.option("--amqp1", metavar="HOST,...", default="", help="RabbitMQ: hosts that speak AMQP 1.0, not 0-9-1.")
@click.option("--replace", is_flag=True, help="Write over files that are there; secrets are kept all the same.")
def render_command(
    broker: str,
    hosts: str,
    out: Path,
    brokers: str,
    federated: bool,
    domain: str,
    watchers: str,
    operators: str,
    amqp1: str,
    replace: bool,
) -> ExitCode:
    """Write settings for all brokers, hosts and consoles below DIR; DIR/README says what goes where.

    Without --brokers they run on the first three hosts (of two: on one). Secrets are kept in DIR/private.

    \b
    Examples:
      fencebus_broker render --broker rabbitmq --hosts hosta,hostb,hostc --out site
      fencebus_broker render --broker rabbitmq --hosts hosta,hostb --brokers hosta,hostb --federated --out site
    """
    described = site(
        hosts, brokers, federated=federated, domain=domain, watchers=watchers, operators=operators, amqp1=amqp1
    )
    written = render(broker, described, out, replace)
    for path in written:
        click.echo(path)
    click.echo(f"{len(written)} files written; {out / 'README'} says what goes where")
    return ExitCode.OK


@commands.command("check")
@click.argument("url")
@click.option("--credentials", type=click.Path(path_type=Path), help="A folder with ca.pem, USER.pem and USER.key.")
@click.option("--ca", type=click.Path(path_type=Path), help="Whom to believe, in PEM; else the system's authorities.")
@click.option("--cert", type=click.Path(path_type=Path), help="What to show, in PEM.")
@click.option("--key", type=click.Path(path_type=Path), help="The private key of --cert.")
@click.option("--domain", default="default", show_default=True, help="The QMF domain: which exchanges.")
def check_command(
    url: str, credentials: Path | None, ca: Path | None, cert: Path | None, key: Path | None, domain: str
) -> ExitCode:
    """Go to the brokers of URL, and say what each lets its user do, and what to mend.

    It speaks AMQP 0-9-1 (amqp://, amqps://) or 1.0 (amqp1://, amqp1s://: qpidd, or RabbitMQ's plugin), as URL says.

    URL may be a list with commas in between; then it is also tried whether what is sent at one broker arrives at the
    others. "-" reads it from standard input, where nobody sees its password.

    \b
    Examples:
      fencebus_broker check - --credentials /etc/fencebus < /etc/fencebus/url
      fencebus_broker check amqp://guest:guest@localhost
      fencebus_broker check amqp1://localhost:5672
    """
    found = places(sys.stdin.readline().strip() if url == "-" else url)
    given = Tls(*(str(path) if path else None for path in (ca, cert, key)))
    tls = of_folder(credentials, found[0].user) if credentials else given
    good = True
    for finding in _probe(found, tls, domain):
        click.echo(finding)
        good = good and finding.good
    return ExitCode.OK if good else ExitCode.FAILED


def _probe(found: Sequence[Broker], tls: Tls, domain: str) -> Iterator[Finding]:
    library = "proton" if found[0].scheme in AMQP_1 else "kombu"
    if not is_there(library):
        raise click.ClickException(f"not installed: {library}; {to_install(library, 'broker')}")
    if library == "kombu":
        from fencebus_broker.probe import probe

        return probe(found, tls, domain)
    from fencebus_broker.probe_amqp1 import probe as probe_amqp1

    logging.getLogger("fencebus_agent").addHandler(logging.NullHandler())  # the findings say it all
    return probe_amqp1(found, tls, domain)


def run(arguments: Sequence[str]) -> int:
    """Run the command line (without the program's name) and return the exit status."""
    try:
        status = commands.main(list(arguments), prog_name=PROGRAM, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write(f"{PROGRAM}: interrupted\n")
        return ExitCode.INTERRUPTED
    except (FencebusError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.FAILED
    return int(status or ExitCode.OK)
