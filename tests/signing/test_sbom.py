"""The bill of materials of a release, held against the lock file and the schema of CycloneDX."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness import __version__

ROOT = Path(__file__).parents[2]


def test_it_lists_every_locked_file_with_its_digest(tmp_path: Path) -> None:
    validation = pytest.importorskip("cyclonedx.validation.json")
    schema = pytest.importorskip("cyclonedx.schema")
    path = tmp_path / "new" / "sbom.json"
    subprocess.run([sys.executable, ROOT / ".ci" / "sbom", path], check=True, capture_output=True)
    text = path.read_text()
    assert validation.JsonStrictValidator(schema.SchemaVersion.V1_6).validate_str(text) is None
    bom = json.loads(text)
    lock = (ROOT / "requirements.lock").read_text()
    digests = {entry["content"] for component in bom["components"] for entry in component.get("hashes", ())}
    assert set(re.findall(r"--hash=sha256:([0-9a-f]{64})", lock)) <= digests
    urls = {component["purl"] for component in bom["components"]}
    locked = re.findall(r"^([\w.-]+)==([^\s;]+)", lock, re.MULTILINE)
    assert {url for url in urls if url.startswith("pkg:pypi/")} == {f"pkg:pypi/{n.lower()}@{v}" for n, v in locked}
    assert any(url.startswith("pkg:maven/com.microsoft.onnxruntime/onnxruntime-android@") for url in urls)
    assert any(url.startswith("pkg:npm/onnxruntime-web@") for url in urls)
    assert bom["metadata"]["component"]["version"] == __version__
