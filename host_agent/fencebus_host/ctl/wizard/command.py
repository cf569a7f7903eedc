"""Decides the course of `fence_virtctl config wizard`: look, ask, show, write, tell what is left to do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from fencebus_host.config.convert.guest_side import EXAMPLE, device_for
from fencebus_host.config.convert.pacemaker_lines import lines_for
from fencebus_host.config.load import load, load_text
from fencebus_host.config.model import Config, KeyedSettings, ListenerSettings
from fencebus_host.config.problems import ConfigError
from fencebus_host.config.regular_file import is_absent, read_regular
from fencebus_host.config.values import BadValueError
from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_host.ctl.survey import Site, survey
from fencebus_host.ctl.wizard.plan import Plan, plan
from fencebus_host.ctl.wizard.questions import NONE, Question, first_questions, further_questions, known_names
from fencebus_host.ctl.writing import replace_file, why_not_writable, write_after_preview
from fencebus_host.state_folder import DEFAULT_CONFIG
from fencebus_schemas.fingerprint import KEY_SIZE, fingerprint


@click.command()
@click.option(
    "-f",
    "--config",
    "file",
    type=click.Path(path_type=Path, readable=False),
    default=DEFAULT_CONFIG,
    help="What to write.",
)
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="Answer a question beforehand.")
@click.option("--yes", is_flag=True, help="Ask nothing: take what is found or suggested, and write.")
@click.option("--root", type=click.Path(path_type=Path), default=Path("/"), hidden=True)
def wizard(file: Path, given: tuple[str, ...], yes: bool, root: Path) -> ExitCode:
    """Look at this host, ask what is left, make key and configuration, and print the lines for the guests.

    NAME is uri, listener, hosts, interface, address, key_file, url, bus_key or group. Nothing is written before it
    was shown.

    \b
    Examples:
      fence_virtctl config wizard
      fence_virtctl config wizard --yes --set listener=vsock --set group=a,b
    """
    known = _given(given)
    if trouble := why_not_writable(file):
        click.echo(trouble, err=True)
        return ExitCode.FAILED
    old = _old(file)
    site = replace(survey([known["uri"]] if "uri" in known else (), root), key_in_use=_key_of(old))
    click.echo(_told(site))
    if site.vdsm:
        click.echo("VDSM (oVirt) manages this host: its VMs must not be fenced behind its back. Nothing was written.")
        return ExitCode.FAILED
    where, *others = first_questions(site)
    answers = {where.name: _answer(where, known, yes)}
    if not site.has_asked(answers["uri"]) and not yes:
        site = replace(site, hypervisors=survey([answers["uri"]], root).hypervisors)
        click.echo(_hypervisors(site))
        others = list(first_questions(site)[1:])
    answers |= {question.name: _answer(question, known, yes) for question in others}
    answers |= {question.name: _answer(question, known, yes) for question in further_questions(site, answers)}
    made = plan(answers, site)
    if old is not None and old.groups and not made.nodes:
        click.echo("note: the groups of the old file are not in the new one: everybody may fence everybody")
    if answers.get("interface", NONE) not in (NONE, *site.bridges):
        click.echo(f"note: {answers['interface']} is no bridge of this host now; the listener waits until it is there")
    return _carry_out(made, file, yes)


def run_as_daemon_option(file: Path | None) -> int:
    """`fence_virtd -c`: the wizard, for the file that `-f` names."""
    from fencebus_host.ctl.program import run

    return run(["config", "wizard", *([] if file is None else ["--config", str(file)])])


def _old(file: Path) -> Config | None:
    """The configuration that is here already, as far as it can be read."""
    try:
        return None if is_absent(file) else load(file)
    except (ConfigError, OSError):
        return None


def _key_of(old: Config | None) -> str:
    keyed = [one for one in (old.listeners if old else ()) if isinstance(one, KeyedSettings) and one.keys]
    return str(keyed[0].key_files[0]) if keyed else ""


def _given(given: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in known_names():
            raise click.UsageError(f"--set {text}: it is NAME=VALUE, NAME one of {', '.join(known_names())}")
        found[name] = value
    return found


def _answer(question: Question, known: dict[str, str], yes: bool) -> str:
    """The answer that was given, found, or else asked for."""
    try:
        if question.name in known:
            return question.checked(known[question.name])
    except BadValueError as error:
        raise click.UsageError(f"--set {question.name}: {error}") from None
    if question.sure or yes:
        click.echo(f"{question.text}: {question.suggestion} ({question.why})")
        return question.suggestion
    while True:
        click.echo(f"({question.why})")
        choices = f" ({', '.join(question.choices)})" if question.choices else ""
        try:
            return question.checked(click.prompt(question.text + choices, default=question.suggestion))
        except BadValueError as error:
            click.echo(error)


def _carry_out(made: Plan, file: Path, yes: bool) -> ExitCode:
    listener = load_text(made.text, str(file), read_keys=False).listeners[0]  # raises ConfigError for a bad answer
    if not write_after_preview(file, made.text, yes):
        return ExitCode.DECLINED
    for name in made.unknown:
        click.echo(f"note: no hypervisor here has a VM {name}; that is right if it lives on another host")
    if made.key_file is not None:
        key = _make_key(made.key_file)
        click.echo(f"the key's fingerprint is {key}; `fence_virt --doctor` prints that of a guest's")
    if made.bus_key is not None:
        click.echo(f"the hosts' key has the fingerprint {_make_key(made.bus_key)}")
    click.echo(_next_steps(made, listener))
    return ExitCode.OK


def _make_key(file: Path) -> str:
    """A new key, unless there is one, which others may have already; its fingerprint."""
    if is_absent(file):
        replace_file(file, os.urandom(KEY_SIZE))
        click.echo(f"made the key {file}")
    key, _ = read_regular(file, KEY_SIZE)
    return fingerprint(key)


def _told(site: Site) -> str:
    lines = [f"host name: {os.uname().nodename}", _hypervisors(site) or "hypervisor: none is found on this host"]
    lines += [f"bridge: {name}" for name in site.bridges]
    lines += [f"message broker: something listens on port {port}, AMQP's" for port in site.broker_ports]
    if site.corosync:
        lines.append("corosync is configured here: for VMs that migrate, every host of it needs a fence_virtd")
    return "\n".join(lines)


def _hypervisors(site: Site) -> str:
    names = [", ".join(guest.name for guest in one.guests) or "no VMs" for one in site.hypervisors]
    return "\n".join(
        f"hypervisor {one.uri}: {one.trouble or vms}" for one, vms in zip(site.hypervisors, names, strict=True)
    )


def _next_steps(made: Plan, listener: ListenerSettings) -> str:
    nodes = made.nodes or EXAMPLE
    lines = lines_for([device_for(listener, nodes)], len(nodes) == 2)
    steps = ["", "What is left to do:"]
    if made.key_file is not None:
        steps.append(f"* copy {made.key_file} to /etc/cluster/ of every guest, readable by root alone")
    if made.bus_key is not None:
        where = ", ".join(made.others) or "the other hosts"
        steps.append(f"* copy {made.bus_key} to {where}, readable by root alone, and never to a guest;")
        steps.append("  run the wizard there too, with the same --set hosts=...")
    steps.append("* systemctl enable --now fence_virtd, then: fence_virtctl doctor")
    steps.append("* on one guest, with pcs" + ("" if made.nodes else " (the names are examples)") + ":")
    steps += [f"    {line}" for line in lines[0].lines]
    steps.append("  or with crm:")
    steps += [f"    {line}" for line in lines[1].lines]
    return "\n".join(steps)
