"""Looks at configuration and keys, the first things that can be wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fencebus_host.config.key_files import making
from fencebus_host.config.model import Config, KeyedSettings
from fencebus_host.config.problems import Problem
from fencebus_host.ctl.doctor.findings import Finding, bad, good, odd
from fencebus_host.ctl.shown_config import fingerprints


def check_errors(problems: Sequence[Problem]) -> Iterator[Finding]:
    """The configuration cannot be used, and so nothing else can be looked at."""
    for problem in problems:
        make = bad if problem.severity.value == "error" else odd
        yield make(problem.code, f"{problem.where}: {problem.message}", problem.suggestion or "correct it")


def check_config(config: Config) -> Iterator[Finding]:
    """The file is good; its warnings, and what it leaves open."""
    yield good("config", f"{config.file or 'no file, the defaults'}: can be used")
    for problem in config.warnings:
        fix = problem.suggestion or "see docs/configuration.md"
        yield odd(problem.code, f"{problem.where}: {problem.message}", fix)
    if config.groups is None:
        text = "there is no groups section: every guest that has the key may fence every VM"
        yield odd("no-groups", text, 'groups { group { uuid = "vm1"; uuid = "vm2"; ip = "..."; } }')


def check_keys(config: Config) -> Iterator[Finding]:
    """Every key is there; its fingerprint is what the guests' must be."""
    keyed = [one for one in config.listeners if isinstance(one, KeyedSettings)]
    for listener in [one for one in keyed if one.needs_key]:
        text = f"listener {listener.name} waits for a key at {listener.key_files[0]}"
        yield odd("no-key", text, making(listener.key_files[0]))
    for name, file, found in fingerprints(config):
        if found:
            yield good("key", f"listener {name}: {file} has the fingerprint {found}; compare: fence_virt --doctor")
    for listener in keyed:
        if not listener.uses_key:
            text = f"listener {listener.name} takes requests from everybody: hash and auth are none"
            yield odd("no-authentication", text, 'hash = "sha256"; auth = "sha256";')
