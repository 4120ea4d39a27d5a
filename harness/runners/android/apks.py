"""Where this user builds the runner apps, and the key that signs them."""

from __future__ import annotations

from pathlib import Path

from harness.runners.android.build import Workshop
from harness.runners.android.keys import SigningKey, own_key
from harness.runners.android.store import FOLDER
from harness.runners.android.tools import Toolbox


def default_workshop(*, sdk: Path | None = None, out: Path | None = None) -> Workshop:
    """Return the default places: tools from PATH, downloads in the user's cache, APKs beside the sources."""
    from platformdirs import user_cache_path

    work = user_cache_path("phonebench") / "android"
    return Workshop(tools=Toolbox(sdk=sdk), work=work.absolute(), out=(out or FOLDER).absolute())


def default_key(tools: Toolbox) -> SigningKey:
    """Return this user's signing key, created on first use. Raises `BuildError`."""
    from platformdirs import user_data_path

    return own_key(user_data_path("phonebench"), tools)
