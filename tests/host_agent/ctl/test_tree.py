"""The tree of commands helps: a wrong word is answered with the nearest one, and no sentence of the list is cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from fencebus_host.ctl.exit_codes import ExitCode
from tests.host_agent.ctl.calls import call

Printed = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("words", "meant"),
    ((("doktor",), "doctor"), (("config", "shwo"), "show"), (("host", "confirm-ded"), "confirm-dead")),
)
def test_a_wrong_command_is_answered_with_the_one_that_was_probably_meant(
    words: tuple[str, ...], meant: str, capsys: Printed
) -> None:
    said = call(capsys, *words)
    assert said.status == ExitCode.USAGE
    assert f"there is no command '{words[-1]}' (did you mean `{meant}`?)" in said.err


@pytest.mark.parametrize("words", ((), ("config",), ("host",)))
def test_the_list_of_commands_has_whole_sentences(words: tuple[str, ...], capsys: Printed) -> None:
    said = call(capsys, *words, "--help")
    assert said.status == ExitCode.OK
    assert "..." not in said.out.partition("Commands:")[2]
    assert max(map(len, said.out.splitlines())) <= 80


def test_a_library_that_a_backend_lacks_is_a_mistake_of_the_configuration(
    tmp_path: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fencebus_host.routers.missing.is_there", lambda _name: False)
    key, file = tmp_path / "key", tmp_path / "conf"
    for each in (key, file):
        each.touch(mode=0o600)
    key.write_bytes(b"k" * 64)
    file.write_text(
        'fence_virtd { listener = "serial"; backend = "qmf"; host = "a"; } hosts { host { name = "a"; } }\n'
        f'backends {{ qmf {{ url = "amqp://b"; key_file = "{key}"; }} }}'
    )
    said = call(capsys, "config", "check", file)
    assert said.status == ExitCode.BAD_CONFIG
    assert "backend-missing" in said.out
    assert "apt-get install python3-kombu" in said.out
