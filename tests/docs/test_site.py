"""The documentation builds as a site, in which every link leads somewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_site_builds_and_every_link_leads_somewhere(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "--quiet",
        "--fail-on-warning",
        "--keep-going",
        "docs",
        str(tmp_path / "site"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")} | {"notebooks/bring_a_model", "notebooks/read_a_night"}
    assert {page for page in pages if not (tmp_path / "site" / f"{page}.html").is_file()} == set()
    reference = (tmp_path / "site" / "api.html").read_text()
    for name in ("from_torch", "load_history", "MissingPackageError", "operators"):
        assert name in reference
