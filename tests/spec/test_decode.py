"""A TOML file that cannot be read is reported with the place of the error."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.spec.decode import read_toml


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'[model]\nname = "x"\ntask = other\n', "line 3, column 8: Invalid value: 'task = other'; put text in quotes"),
        (b'a = 1\nname "x"\n', "line 2, column 6: Expected '=' after a key in a key/value pair: 'name \"x\"'"),
        (b"a = 1\r\na = 2\r\n", "line 2, column 6: Cannot overwrite a value: 'a = 2'"),
        (b"a = 1\nb = [1, 2", "line 2, column 10: Unclosed array: 'b = [1, 2'"),
        (b"a = 1\nb = '\xff'\n", "line 2 is not UTF-8; save the file as UTF-8"),
    ],
)
def test_broken_toml_is_reported_with_its_line(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_toml(path, what="the file")
    assert str(caught.value) == f"cannot read the file {str(path)!r}: {words}"


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\n")
    assert read_toml(path, what="the file") == {"a": 1}


def test_a_folder_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read the file .*: Is a directory"):
        read_toml(tmp_path, what="the file")


def test_a_missing_file_is_left_to_the_caller(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_toml(tmp_path / "none.toml", what="the file")
