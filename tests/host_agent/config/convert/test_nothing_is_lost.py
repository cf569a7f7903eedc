"""Whatever an old configuration says is in the new one, or in the report: nothing goes away in silence."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.config.convert import xvmd
from fencebus_host.config.convert.cluster_conf import convert
from fencebus_host.config.convert.conversion import Conversion, SourceError
from fencebus_host.config.tree import render
from fencebus_host.ctl.exit_codes import ExitCode
from tests.host_agent.ctl.calls import call

VALUES = st.sampled_from(
    ("", "1", "0", "yes", "br0", "225.0.0.5", "1300", "70000", "-4", "auto", "ipv4", "ipv6", "sha1", "x y", "ü")
)
NAMES = st.sampled_from((*xvmd.ATTRIBUTES, "family", "prot", "Port", "local", "foreground"))
DEVICE_NAMES = st.sampled_from(
    (
        "domain",
        "plug",
        "port",
        "ipport",
        "key_file",
        "timeout",
        "retrans",
        "use_uuid",
        "hash",
        "option",
        "vmname",
        "debug",
    )
)
ATTRIBUTES = st.dictionaries(NAMES, VALUES, max_size=6)
DEVICE_ATTRIBUTES = st.dictionaries(DEVICE_NAMES, VALUES, max_size=5)


def told(found: Conversion) -> str:
    """Everything that the conversion brings: the configuration, the devices, the report."""
    devices = [f"{name}={value}" for device in found.devices for name, value in device.options]
    nodes = [f"{node.name}:{node.vm}" for device in found.devices for node in device.nodes]
    return "\n".join([render(found.items), *devices, *nodes, *map(str, found.remarks)])


def lost(attributes: Iterable[tuple[str, str]], found: Conversion) -> list[tuple[str, str]]:
    """What is neither there nor named."""
    everything = told(found)
    return [
        (name, value)
        for name, value in attributes
        if value
        and f"`{name}" not in everything
        and f'"{value}"' not in everything
        and f"={value}" not in everything
        and f":{value}" not in everything
    ]


def xml(attributes: dict[str, str]) -> str:
    return " ".join(f"{name}={quoteattr(value)}" for name, value in attributes.items())


@given(ATTRIBUTES)
def test_every_attribute_of_fence_xvmd_is_somewhere(attributes: dict[str, str]) -> None:
    found = convert(f"<cluster><fence_xvmd {xml(attributes)}/></cluster>".encode(), "cluster.conf")
    off = {name for name in ("use_uuid",) if attributes.get(name) not in ("1", "yes")}
    off |= {"ip_family"} if attributes.get("ip_family") == "auto" else set()  # that is so without a word
    assert lost(((name, value) for name, value in attributes.items() if name not in off), found) == []


@given(DEVICE_ATTRIBUTES, DEVICE_ATTRIBUTES)
def test_every_attribute_of_a_device_and_of_its_use_is_somewhere(shared: dict[str, str], own: dict[str, str]) -> None:
    device = f'<fencedevice name="d" agent="fence_xvm" {xml(shared)}/>'
    use = f'<clusternode name="n1"><fence><method name="1"><device name="d" {xml(own)}/></method></fence></clusternode>'
    whole = f"<cluster><clusternodes>{use}</clusternodes><fencedevices>{device}</fencedevices></cluster>"
    found = convert(whole.encode(), "cluster.conf")
    assert lost(own.items(), found) == []
    assert lost(((name, value) for name, value in shared.items() if name not in own), found) == []


@given(st.lists(st.tuples(st.sampled_from("iapICcUkfdLXuZ"), VALUES), max_size=6))
def test_every_option_of_a_command_line_is_somewhere_or_refused_by_its_name(
    given_options: list[tuple[str, str]],
) -> None:
    words = [
        word
        for letter, value in given_options
        for word in ((f"-{letter}", value) if letter in "iapICcUk" else (f"-{letter}",))
    ]
    if any(letter == "Z" for letter, _ in given_options):
        with pytest.raises(SourceError, match="Z"):
            xvmd.read_command_line(words)
        return
    found = xvmd.convert(xvmd.read_command_line(words))
    last = {letter: value for letter, value in given_options if letter in "aIUCckp"}
    assert [value for value in last.values() if value and f'"{value}"' not in told(found)] == []


@pytest.mark.parametrize("words", ("-L 'unbalanced", "-p", "surplus", "-Z", '-I "', "-L \\"))
def test_a_command_line_that_cannot_be_read_is_an_error_with_a_status_of_its_own(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = call(capsys, "config", "convert", "--fence-xvmd", words)
    assert said.status == ExitCode.BAD_SOURCE, said
    assert said.err.startswith("fence_xvmd")


@given(st.text(max_size=40))
def test_whatever_the_command_line_is_the_answer_is_a_conversion_or_a_source_error(text: str) -> None:
    try:
        words = shlex.split(text)
    except ValueError:
        return
    with suppress(SourceError):
        assert xvmd.convert(xvmd.read_command_line(words)).items


def test_a_file_of_utf_16_is_refused_with_the_command_that_makes_it_readable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "old.conf"
    for text in ("<cluster/>", "fence_virtd { }"):
        source.write_bytes(text.encode("utf-16"))
        said = call(capsys, "config", "convert", source)
        assert said.status == ExitCode.BAD_SOURCE
        assert f"it is UTF-16: iconv -f UTF-16 -t UTF-8 {source}" in said.err


def test_a_file_of_latin_1_is_read_as_such_and_what_it_says_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "old.conf"
    source.write_bytes('# für\nlisteners { tcp { büg = "ü"; } }\n'.encode("latin-1"))
    said = call(capsys, "config", "convert", source)
    assert said.status == ExitCode.OK
    assert "it was read as Latin-1" in said.out
    assert "`büg` means nothing" in said.out
    # A terminal with a strict encoding, which no byte of a file may bring to fall.
    command = [sys.executable, "-m", "fencebus_host.ctl", "config", "check", str(source)]
    checked = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"})
    assert checked.returncode == ExitCode.BAD_CONFIG, checked.stderr
    assert rb"`b\udcfcg` means nothing" in checked.stdout + checked.stderr


@pytest.mark.parametrize(
    "content", (b"", b"\0", b"\xff\xfe<", b"<cluster", b"listeners {", b"<a/>", b"<cluster/>", b"}" * 99)
)
def test_a_file_that_cannot_be_read_is_told_with_its_name_and_nothing_is_written(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = tmp_path / "old.conf", tmp_path / "new.conf"
    source.write_bytes(content)
    said = call(capsys, "config", "convert", source, "--output", output, "--yes")
    if content.strip():
        assert said.status == ExitCode.BAD_SOURCE, said
        assert str(source) in said.err
        assert not output.exists()
    else:
        assert said.status in (ExitCode.OK, ExitCode.BAD_SOURCE)
