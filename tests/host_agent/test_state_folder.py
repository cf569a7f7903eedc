"""The quick reader of the state folder says what the parser says, or leaves it to the parser."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.config.load import load_text
from fencebus_host.config.problems import ConfigError
from fencebus_host.state_folder import DEFAULT_STATE_DIR, MOST_BYTES, folder_in, state_folder
from tests.fuzz.strategies_config import texts

FILE = """
# fence_virtd { state_dir = "/comment"; }
fence_virtd {
    listener = "tcp"; # state_dir = "/another";
    state_dir = "/srv/state";
}
listeners { tcp { key_file = "/k"; } };
"""


def parsed(text: str) -> Path | None:
    """What the parser finds, if the text is a configuration."""
    try:
        return load_text(text, "f", read_keys=False).daemon.state_dir
    except ConfigError:
        return None


@pytest.mark.parametrize(
    ("text", "folder"),
    (
        (FILE, Path("/srv/state")),
        ('groups { group { uuid = "a"; } }', DEFAULT_STATE_DIR),
        ('Fence_Virtd{State_Dir="/a";STATE_DIR="/b";}', Path("/b")),
        ('fence_virtd { state_dir = "/a"; } fence_virtd { debug = "1"; }', DEFAULT_STATE_DIR),
        ('fence_virtd = "x" { state_dir\n=\n"/a"\n; }', Path("/a")),
        ('\ufeff# no mark of byte order\nfence_virtd { state_dir = "/a"; }', None),
        ('groups { group { state_dir = "/a"; } }', DEFAULT_STATE_DIR),
        ("", None),
        ("# nothing", None),
        ('fence_virtd { state_dir = "a"; }', None),
        ('fence_virtd { state_dir = ""; }', None),
        ('fence_virtd { state_dir = "/a\0b"; }', None),
        ('fence_virtd { state_dir { a = "/a"; } }', None),
        ('fence_virtd { state_dir = "/a" { } }', None),
        ('fence_virtd = "/a";', None),
        ('fence_virtd { state_dir = "/a" }', None),
        ('fence_virtd { state_dir = "/a";', None),
        ('fence_virtd { state_dir = "/a; }', None),
        ('fence_virtd { state_dir = "/a"; } }', None),
        ('fence_virtd { state_dir#b = c\n = "/a"; }', None),
        ("fence_virtd { state_dir; }", None),
    ),
)
def test_what_leaves_no_doubt_is_found_and_everything_else_is_left_to_the_parser(
    text: str, folder: Path | None
) -> None:
    assert folder_in(text) == folder


def told(text: str) -> st.SearchStrategy[str]:
    """The text with a state folder put somewhere."""
    said = ' fence_virtd { state_dir = "/s"; }', '\nstate_dir = "/s/t";', ' state_dir#="/u";', '"state_dir = "/v";'
    return st.builds(
        lambda at, what: text[: at % (len(text) + 1)] + what + text[at % (len(text) + 1) :],
        st.integers(0),
        st.sampled_from(said),
    )


@given(texts().flatmap(told))
def test_it_never_differs_from_the_parser(text: str) -> None:
    quick = folder_in(text)
    assert quick is None or parsed(text) in (None, quick)


@pytest.mark.parametrize("damage", '"{};=#\n')
def test_no_single_wrong_sign_makes_it_differ(damage: str) -> None:
    text = 'fence_virtd { debug = "1"; #"\nstate_dir="/a"; }'
    for at in range(len(text) + 1):
        for wrong in (text[:at] + damage + text[at:], text[:at] + damage + text[at + 1 :], text[:at] + text[at + 1 :]):
            quick = folder_in(wrong)
            assert quick is None or parsed(wrong) in (None, quick), wrong


def test_what_is_no_file_or_too_long_is_left_to_the_parser(tmp_path: Path) -> None:
    file, pipe, big = tmp_path / "conf", tmp_path / "pipe", tmp_path / "big"
    file.write_bytes(b"\xef\xbb\xbf" + FILE.encode())
    os.mkfifo(pipe)
    big.write_text(FILE + "#" * MOST_BYTES)
    assert state_folder(file) == Path("/srv/state")
    assert [state_folder(each) for each in (pipe, big, tmp_path, tmp_path / "none")] == [None] * 4


def test_a_file_of_any_bytes_gives_the_path_that_the_parser_gives(tmp_path: Path) -> None:
    file = tmp_path / "conf"
    file.write_bytes(b'fence_virtd { state_dir = "/\xe9"; }')
    assert state_folder(file) == parsed('fence_virtd { state_dir = "/\udce9"; }') == Path("/\udce9")
