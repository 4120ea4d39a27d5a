"""Rows of the table of formats, changed for one test."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.spec.formats import FORMATS
from harness.wire import Format


def change_row(monkeypatch: pytest.MonkeyPatch, format_: Format, **fields: Any) -> None:
    """Change fields in the row of ``format_`` until the test ends."""
    monkeypatch.setitem(FORMATS, format_, replace(FORMATS[format_], **fields))
