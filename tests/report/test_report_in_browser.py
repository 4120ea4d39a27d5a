"""The page in a real browser: headings sort, nothing is fetched, nothing overflows on a narrow screen."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.report.builders import page_of, phone_run

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=2000",
)

# Asks the page what a user would look at, and leaves the answers in its title.
PROBE = """
<script>
// Cells without a figure have an empty one to sort by, and stay at the end.
const cells = () => [...document.querySelectorAll("#cells tbody tr")].map(r => r.cells[column].dataset.sort);
const times = () => cells().slice(0, cells().filter(x => x !== "").length).map(x => x === "" ? NaN : Number(x));
const buttons = [...document.querySelectorAll("#cells th button")];
const column = buttons.findIndex(b => b.textContent.trim() === "latency");
buttons[column].click();
const up = times();
buttons[column].click();
const down = times();
const sorted = (list, sign) => list.every((x, i) => i === 0 || sign * (x - list[i - 1]) >= 0);
const wide = document.documentElement.scrollWidth > innerWidth;
const fetched = performance.getEntriesByType("resource").length;
const order = `up=${sorted(up, 1)} down=${sorted(down, -1)} rows=${up.length}`;
document.title = `answers ${order} wide=${wide} fetched=${fetched}`;
</script>
"""


@pytest.mark.parametrize("width", [1280, 420])
def test_the_page_works_in_a_browser(tmp_path: Path, width: int) -> None:
    if BROWSER is None:
        pytest.skip("missing: a browser; run: apt-get install chromium")
    run = phone_run()
    page = tmp_path / "report.html"
    page.write_text(page_of(run).replace("</body>", PROBE + "</body>"))
    command = [BROWSER, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},2000", "--dump-dom"]
    done = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    answers = re.search(r"<title>answers (.*)</title>", done.stdout)
    assert answers, done.stdout[:500]
    assert "up=true down=true" in answers[1]
    assert "wide=false fetched=0" in answers[1]
    assert "rows=0" not in answers[1]
