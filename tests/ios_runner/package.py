"""A Core ML package for the Swift tests, made by others' code: Python's zip, and the records of coremltools."""

from __future__ import annotations

import random
import shutil
import sys
import zipfile
from pathlib import Path

from harness.artifacts.export.coreml import import_coremltools

ROOT = "model.mlpackage"


def make_package(folder: Path) -> None:
    """Write a package with its zip into ``folder``, and a zip that leads out of it."""
    import_coremltools()
    from coremltools.proto import Model_pb2

    shutil.rmtree(folder, ignore_errors=True)
    data = folder / "expected" / ROOT / "Data/com.apple.CoreML"
    (data / "weights").mkdir(parents=True)
    (data.parents[1] / "Manifest.json").write_text('{"fileFormatVersion": "1.0.0"}', encoding="utf-8")
    model = Model_pb2.Model(specificationVersion=8)
    for name in ("zebra", "apple", "mango"):
        model.description.input.add(name=name, shortDescription="an input")
    for name in ("second", "first"):
        model.description.output.add(name=name)
    (data / "model.mlmodel").write_bytes(model.SerializeToString())
    # Random bytes, repeated ones and text give every kind of block that deflate has.
    draw = random.Random(0)
    blocks = [draw.randbytes(50_000), b"abc" * 100_000, bytes(70_000), " ".join(map(str, range(50_000))).encode()]
    (data / "weights/weight.bin").write_bytes(b"".join(blocks))
    with zipfile.ZipFile(folder / "model.mlpackage.zip", "w", zipfile.ZIP_DEFLATED) as package:
        for file in sorted(path for path in (folder / "expected").rglob("*") if path.is_file()):
            package.write(file, file.relative_to(folder / "expected"))
    with zipfile.ZipFile(folder / "outside.zip", "w") as outside:
        outside.writestr("model.mlpackage/../../escaped", "x")


if __name__ == "__main__":
    # In a process of its own, because coremltools' library clashes with those of other tests.
    make_package(Path(sys.argv[1]))
