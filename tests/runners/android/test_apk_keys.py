"""The signing key: created once by the JDK's keytool, or the user's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.errors import BuildError, UsageError
from harness.runners.android.keys import given_key, own_key
from harness.runners.android.tools import Tool, Toolbox


@pytest.mark.skipif(shutil.which("keytool") is None, reason="missing: keytool")
def test_a_key_is_made_once_and_kept(tmp_path: Path) -> None:
    tools = Toolbox()
    key = own_key(tmp_path, tools)
    store = key.store.read_bytes()
    assert own_key(tmp_path, tools) == key
    assert key.store.read_bytes() == store
    assert key.password_file.stat().st_mode & 0o077 == 0
    listed = tools.run(
        Tool.KEYTOOL, "-list", "-keystore", key.store, "-storepass:file", key.password_file, what="listing"
    )
    assert "phonebench" in listed


def test_without_keytool_nothing_is_left_behind(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="keytool.*openjdk-17"):
        own_key(tmp_path / "keys", Toolbox(search=str(tmp_path)))
    assert not (tmp_path / "keys").exists()


def test_a_users_key_needs_its_files(tmp_path: Path) -> None:
    (tmp_path / "my.p12").write_bytes(b"key")
    with pytest.raises(UsageError, match="--key-password"):
        given_key(tmp_path / "my.p12", None, "me")
    with pytest.raises(UsageError, match=r"no file .*pass\.txt"):
        given_key(tmp_path / "my.p12", tmp_path / "pass.txt", "me")
