"""Without its optional packages the history names the extra that installs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Called, call_python


def without(package: str, *args: str, folder: Path) -> Called:
    """The command line where ``package`` cannot be imported."""
    code = f"import sys; sys.modules[{package!r}] = None; from harness.cli import main; main({list(args)!r})"
    return call_python("-c", code, cwd=folder)


@pytest.mark.parametrize(
    ("package", "args"),
    [
        ("sqlalchemy", ["history", "list"]),
        ("psycopg", ["history", "list", "--history", "postgresql://127.0.0.1:1/d"]),
        ("pyarrow", ["history", "export", "--parquet", "h.parquet"]),
    ],
)
def test_a_missing_package_is_named_with_its_extra(tmp_path: Path, package: str, args: list[str]) -> None:
    assert without("none", "history", "list", "--history", str(tmp_path / "h.sqlite"), folder=tmp_path).code == 6
    if package == "pyarrow":
        make = (
            "from harness.history.database import open_history as o\nwith o('results/history.sqlite', create=True): 0"
        )
        assert call_python("-c", make, cwd=tmp_path).code == 0
    done = without(package, *args, folder=tmp_path)
    assert done.code == 4, done.err
    assert f"needs the package {package!r}; run: pip install 'phonebench[history]'" in done.err
