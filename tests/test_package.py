"""What the wheel and the source distribution hold, since users install those."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from docs.long_description import long_description
from harness.spec.formats import BACKENDS, FORMATS
from harness.workflows.doctor import optional_packages

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\[[^\]]*\]\(([^)]+)\)")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution of this tree."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(next(built.glob("*.whl")))


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> str:
    return wheel.read(next(name for name in wheel.namelist() if name.endswith("METADATA"))).decode()


@pytest.mark.parametrize(
    "name",
    [
        "harness/py.typed",
        "harness/report/templates/house.html.j2",
        "harness/report/templates/house.css",
        "harness/report/templates/house.js",
        "harness/workflows/probe_model/model.toml",
        "harness/bundled_models/digits/weights.safetensors",
        "harness/bundled_models/digits/digits.npz",
        "harness/bundled_models/efficientnet_lite0/model.toml",
        "harness/bundled_models/specs/digits.toml",
    ],
)
def test_a_wheel_has_what_the_code_reads(wheel: zipfile.ZipFile, name: str) -> None:
    assert name in wheel.namelist()


def test_a_wheel_has_no_tests(wheel: zipfile.ZipFile) -> None:
    assert not [name for name in wheel.namelist() if name.startswith(("tests/", "results/"))]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("LICENSE", ["Apache License", "Version 2.0, January 2004", "END OF TERMS AND CONDITIONS"]),
        ("NOTICE", ["digits/digits.npz", "Creative Commons Attribution 4.0", "ONNX Runtime", "BSD-3-Clause"]),
    ],
)
def test_a_wheel_carries_the_licence_and_the_notice(wheel: zipfile.ZipFile, name: str, words: list[str]) -> None:
    [path] = [path for path in wheel.namelist() if path.endswith(f".dist-info/licenses/{name}")]
    text = wheel.read(path).decode()
    assert [word for word in words if word not in text] == []
    assert text == (ROOT / name).read_text(encoding="utf-8")


def test_the_notice_names_every_bundled_model() -> None:
    text = (ROOT / "NOTICE").read_text(encoding="utf-8")
    assert [card.parent.name for card in (ROOT / "models").glob("*/model.toml") if card.parent.name not in text] == []


def test_a_source_distribution_has_the_pages_and_what_builds_and_tests_it(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    pages = {str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.*") if "__pycache__" not in page.parts}
    others = {
        "LICENSE",
        "NOTICE",
        "Makefile",
        "requirements.lock",
        "docs/long_description.py",
        "android_runner/pom.xml",
    }
    assert pages | others <= names
    assert not [name for name in names if name.startswith("android_runner/") and "/target/" in name]


def anchors(page: Path) -> set[str]:
    """The fragments that headings of a page get on GitHub: lower case, no punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_between_pages_leads_to_a_file_and_a_heading() -> None:
    pages = [p for folder in (".", "docs", "models/*", "*") for p in ROOT.glob(f"{folder}/*.md")]
    pages = [page.resolve() for page in pages if ".venv" not in page.parts]
    assert len(pages) > 20
    dead = []
    for page in pages:
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            path, _, fragment = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if "://" in link or (target.exists() and (not fragment or fragment in anchors(target))):
                continue
            dead.append(f"{page.name}: {link}")
    assert dead == []


def test_every_link_of_the_long_description_leads_somewhere(metadata: str) -> None:
    """A package index shows this text, and has no folder beside it."""
    description = metadata.partition("\n\n")[2]
    assert "# phonebench" in description
    assert [link for link in LINK.findall(description) if not link.startswith(("https://", "#"))] == []


@pytest.mark.parametrize(
    ("readme", "description"),
    [
        ("See [docs/a.md](docs/a.md).", "See docs/a.md."),
        ("See [below](#below).", "See [below](#below)."),
        ("See [a site](https://a.example/b).", "See [a site](https://a.example/b)."),
        ("One\n\n![A table](docs/t.png)\n\nTwo", "One\n\nTwo"),
        ("One\n\n![A table](https://a.example/t.png)\n\nTwo", "One\n\n![A table](https://a.example/t.png)\n\nTwo"),
    ],
)
def test_the_long_description_has_no_relative_link(readme: str, description: str) -> None:
    assert long_description(readme).startswith(f"{description}\n")


def test_the_doctor_knows_the_extras_of_the_package(metadata: str) -> None:
    for extra, package, _ in optional_packages():
        assert any(
            line.startswith(f"Requires-Dist: {package}") and f"extra == '{extra}'" in line
            for line in metadata.splitlines()
        ), (extra, package)


def test_advice_names_extras_that_exist(metadata: str) -> None:
    groups = [extras for row in FORMATS.values() for extras in (row.extras, row.runtime_extras)]
    named = {extra for extras in (*groups, *(row.extras for row in BACKENDS.values())) for extra in extras}
    assert named <= set(re.findall(r"^Provides-Extra: (\S+)$", metadata, flags=re.MULTILINE))


@pytest.mark.parametrize("extra", ["onnx", "tflite"])
def test_a_runtimes_extra_does_not_bring_torch(metadata: str, extra: str) -> None:
    lines = [line for line in metadata.splitlines() if line.endswith(f"extra == '{extra}'")]
    assert lines
    assert not [line for line in lines if "torch" in line]
