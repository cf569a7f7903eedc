"""Key files are read as C reads them, checked, and never changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fencebus_host.config.key_files import KEY_SIZE, with_keys
from fencebus_host.config.problems import Problem, Problems, Where

HERE = Where("f", 7)


def key(folder: Path, content: bytes = b"secret", mode: int = 0o600, name: str = "key") -> Path:
    path = folder / name
    path.write_bytes(content)
    path.chmod(mode)
    return path


def read(*files: Path, may_be_missing: bool = False) -> tuple[tuple[bytes, ...], tuple[Problem, ...]]:
    problems = Problems()
    return with_keys(files, HERE, may_be_missing, problems), problems.in_order()


def test_a_key_is_all_bytes_of_its_file(tmp_path: Path) -> None:
    assert read(key(tmp_path, b"\0\xff secret\n")) == ((b"\0\xff secret\n",), ())


def test_only_the_first_4096_bytes_count_as_in_c(tmp_path: Path) -> None:
    keys, problems = read(key(tmp_path, bytes(range(256)) * 17))
    assert keys == (bytes(range(256)) * 16,)
    assert len(keys[0]) == KEY_SIZE
    assert [problem.code for problem in problems] == ["long-key"]


def test_several_keys_keep_their_order(tmp_path: Path) -> None:
    new, old = key(tmp_path, b"new", name="new"), key(tmp_path, b"old", name="old")
    assert read(new, old) == ((b"new", b"old"), ())


def test_a_missing_key_is_an_error_at_the_line_that_names_it(tmp_path: Path) -> None:
    keys, problems = read(tmp_path / "none")
    assert keys == ()
    assert (problems[0].code, problems[0].line) == ("bad-key", 7)
    assert "No such file" in str(problems[0])
    assert "dd if=/dev/urandom" in problems[0].suggestion


def test_one_bad_key_of_several_leaves_none(tmp_path: Path) -> None:
    assert read(key(tmp_path), tmp_path / "none")[0] == ()


def test_an_empty_key_is_an_error(tmp_path: Path) -> None:
    keys, problems = read(key(tmp_path, b""))
    assert keys == ()
    assert "is empty" in str(problems[0])


def test_a_folder_is_no_key(tmp_path: Path) -> None:
    assert [problem.code for problem in read(tmp_path)[1]] == ["bad-key"]


def test_a_pipe_is_no_key_and_does_not_make_the_daemon_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "it is not a file" in str(read(tmp_path / "pipe")[1][0])


def test_a_device_is_no_key() -> None:
    assert "it is not a file" in str(read(Path("/dev/zero"))[1][0])


@pytest.mark.parametrize(
    ("mode", "expected"),
    ((0o600, []), (0o400, []), (0o640, ["key-readable"]), (0o604, ["key-readable"]), (0o660, ["key-writable"])),
)
def test_a_key_open_to_others_is_a_warning_and_stays_as_it_is(tmp_path: Path, mode: int, expected: list[str]) -> None:
    path = key(tmp_path, mode=mode)
    keys, problems = read(path)
    assert keys == (b"secret",)
    assert [problem.code for problem in problems] == expected
    assert path.stat().st_mode & 0o777 == mode


def test_a_key_that_nobody_named_may_be_missing_but_not_bad(tmp_path: Path) -> None:
    assert read(tmp_path / "none", may_be_missing=True) == ((), ())
    assert [problem.code for problem in read(key(tmp_path, b""), may_be_missing=True)[1]] == ["bad-key"]


def test_a_link_to_nowhere_is_a_bad_key_and_not_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "none")
    assert [problem.code for problem in read(tmp_path / "link", may_be_missing=True)[1]] == ["bad-key"]


def test_a_relative_path_counts_from_the_working_folder_as_in_c_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = key(tmp_path)
    monkeypatch.chdir(tmp_path)
    keys, problems = read(Path("key"))
    assert keys == (b"secret",)
    assert [(problem.code, problem.suggestion) for problem in problems] == [("relative-path", f"write {path}")]
