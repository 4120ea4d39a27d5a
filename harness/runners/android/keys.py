"""The key that signs the apps: the user's own, or one that is created once and kept.

A phone accepts an update only from the signer of the installed app. So the key is kept outside the build folders, where
no clean build can delete it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.runners.android.tools import Tool, Toolbox

ALIAS = "phonebench"
_STORE, _PASSWORD = "android-runner.p12", "android-runner.password"
_YEARS_100_DAYS = "36500"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key store, the file with its password, and the name (``alias``) of the key in the store."""

    store: Path
    password_file: Path
    alias: str = ALIAS


def given_key(store: Path, password_file: Path | None, alias: str) -> SigningKey:
    """Return the user's own key. Raises `UsageError` when one of its files does not exist."""
    if password_file is None:
        msg = f"--key {str(store)!r} needs its password; give --key-password FILE"
        raise UsageError(msg)
    for file in (store, password_file):
        if not file.is_file():
            msg = f"there is no file {str(file)!r}; give the key store with --key and its password with --key-password"
            raise UsageError(msg)
    return SigningKey(store=store, password_file=password_file, alias=alias)


def own_key(folder: Path, tools: Toolbox) -> SigningKey:
    """Return the key in ``folder``, created on first use. Raises `BuildError`, `OSError`."""
    key = SigningKey(store=folder / _STORE, password_file=folder / _PASSWORD)
    if key.store.is_file() and key.password_file.is_file():
        return key
    tools.find(Tool.KEYTOOL)
    folder.mkdir(parents=True, exist_ok=True)
    # One file without the other is left over from an interrupted build. keytool refuses to overwrite a key store.
    key.store.unlink(missing_ok=True)
    key.password_file.touch(mode=0o600)
    key.password_file.write_text(secrets.token_hex(24), encoding="ascii")
    arguments = ["-genkeypair", "-alias", ALIAS, "-keyalg", "RSA", "-keysize", "3072", "-sigalg", "SHA256withRSA"]
    arguments += ["-validity", _YEARS_100_DAYS, "-dname", "CN=phonebench runner", "-storetype", "PKCS12"]
    arguments += ["-keystore", str(key.store), "-storepass:file", str(key.password_file)]
    tools.run(Tool.KEYTOOL, *arguments, what="creating the signing key of the Android runner")
    return key
