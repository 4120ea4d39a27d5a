"""Makes the description that a package index shows from README.md.

An index has no folder beside the page, so a relative link or picture in README.md would be dead there. The repository
has no public address that would make such a link absolute.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:|#")
_PICTURE_LINE = re.compile(r"^!\[[^\]]*\]\(([^)\s]+)\)\n+", flags=re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")
_WHERE = "\nThe pages and folders named above are in the source distribution of phonebench.\n"


class CustomMetadataHook(MetadataHookInterface):
    """Sets the field ``readme``, which pyproject.toml declares as dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Put the long description into ``metadata``."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": long_description(text)}


def long_description(readme: str) -> str:
    """Return ``readme`` without pictures that are files, and with relative links reduced to their text."""
    text = _PICTURE_LINE.sub(lambda match: match[0] if _ABSOLUTE.match(match[1]) else "", readme)
    return _LINK.sub(lambda match: match[0] if _ABSOLUTE.match(match[2]) else match[1], text) + _WHERE
