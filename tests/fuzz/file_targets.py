"""What is fuzzed of files besides models and runs: libraries, apps, packages, wheels, entries of an encrypted cache."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable

from harness.errors import PhonebenchError
from tests.fuzz.target import Target, new_folder, on_file


def _library() -> Target:
    from harness.runners.android.elf import load_alignment

    def seeds() -> list[bytes]:
        from tests.runners.android.test_apk_elf import elf32, elf64

        return [elf64((1, 16384), (2, 8)), elf32((1, 4096))]

    return Target(
        name="library",
        read=lambda data: load_alignment(data, name="lib.so"),
        refuses=(PhonebenchError,),
        seeds=seeds,
    )


def _apk() -> Target:
    from harness.runners.android.verify import native_libraries

    def seeds() -> list[bytes]:
        from harness.runners.android.archive import Entry, write_archive
        from tests.runners.android.test_apk_elf import elf64

        path = new_folder() / "seed.apk"
        write_archive(path, [Entry(name="lib/arm64-v8a/libx.so", data=elf64((1, 16384)))])
        # Without the padding in front of the library, which says nothing.
        return [path.read_bytes()]

    return Target(name="apk", read=on_file(".apk", native_libraries), refuses=(PhonebenchError,), seeds=seeds)


def _mlpackage() -> Target:
    # coremltools looks for TensorFlow, which crashes in a process with libFuzzer.
    if "atheris" in sys.modules:
        sys.modules["tensorflow"] = None  # type: ignore[assignment]
    from harness.artifacts.export.mlpackage import ROOT, describe_package

    def seeds() -> list[bytes]:
        from coremltools.proto import Model_pb2

        model = Model_pb2.Model(specificationVersion=8)
        model.mlProgram.functions["main"].block_specializations["x"].operations.add().type = "add"
        manifest = {"itemInfoEntries": {"a": {"path": "x/model"}}, "rootModelIdentifier": "a"}
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w") as archive:
            archive.writestr(f"{ROOT}/Manifest.json", json.dumps(manifest))
            archive.writestr(f"{ROOT}/Data/x/model", model.SerializeToString())
        return [written.getvalue()]

    return Target(
        name="mlpackage", read=on_file(".zip", describe_package), refuses=(ValueError, PhonebenchError), seeds=seeds
    )


def _wheel() -> Target:
    from harness.devices.ssh.wheels import read_wheel

    def seeds() -> list[bytes]:
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("numpy/__init__.py", b"x = 1\n" * 9)
        return [written.getvalue()]

    return Target(
        name="wheel",
        read=on_file(".whl", lambda path: read_wheel(path, board="pi")),
        refuses=(PhonebenchError,),
        seeds=seeds,
    )


def _cache_entry() -> Target:
    from harness.artifacts.sealed import Seal, create_identity

    folder = new_folder()
    create_identity(folder / "key")
    seal = Seal(folder / "key", folder)
    entry = folder / "entry"
    entry.mkdir()

    def read(data: bytes) -> object:
        (entry / "model.onnx.age").write_bytes(data)
        try:
            return seal.open(entry)
        finally:
            seal.forget(entry)

    def seeds() -> list[bytes]:
        plain, closed = folder / "plain", folder / "closed"
        plain.mkdir()
        (plain / "model.onnx").write_bytes(bytes(100))
        seal.close(plain, closed)
        return [(closed / "model.onnx.age").read_bytes()]

    return Target(name="cache-entry", read=read, refuses=(PhonebenchError, ValueError), seeds=seeds)


def _cache_key() -> Target:
    from harness.artifacts.sealed import create_identity, read_identity

    folder = new_folder()
    create_identity(folder / "key")
    seed = (folder / "key").read_bytes()

    def read(data: bytes) -> object:
        (folder / "key").write_bytes(data)
        return read_identity(folder / "key")

    return Target(name="cache-key", read=read, refuses=(PhonebenchError,), seeds=lambda: [seed])


def _energy_trace() -> Target:
    from harness.devices.android.energy.trace import parse_trace

    def seeds() -> list[bytes]:
        from tests.vphone.power import trace
        from tests.vphone.state import PhoneState

        state = PhoneState(watts=lambda _: 2.0, battery_percent=50, plugged=False, charging=False)
        return [trace(state, 100.0, 101.0, 0.25)]

    return Target(name="energy-trace", read=parse_trace, refuses=(ValueError,), seeds=seeds)


def _questions() -> Target:
    from harness.artifacts.sources.prepare_language import read_questions

    return Target(
        name="questions",
        read=on_file(".jsonl", read_questions),
        refuses=(PhonebenchError,),
        seeds=lambda: [b'{"question": "2 + 2?", "choices": ["3", "4"], "answer": 1}\n\n'],
    )


def _night() -> Target:
    from harness.workflows.nightly.record import newest_devices, read_night

    results = new_folder()
    (results / "nightly" / "n1").mkdir(parents=True)

    def read(data: bytes) -> object:
        (results / "nightly" / "n1" / "night.json").write_bytes(data)
        try:
            return newest_devices(results)
        finally:
            read_night(results, "latest")

    def seeds() -> list[bytes]:
        import msgspec

        from harness.workflows.nightly.record import NightRecord
        from tests.workflows.nightly.conftest import SPEC

        return [msgspec.json.encode(NightRecord(id="n1", created_at="2026-01-01", spec=SPEC, history=""))]

    return Target(name="night", read=read, refuses=(PhonebenchError,), seeds=seeds)


FILE_TARGETS: dict[str, Callable[[], Target]] = {
    "library": _library,
    "apk": _apk,
    "mlpackage": _mlpackage,
    "wheel": _wheel,
    "cache-entry": _cache_entry,
    "cache-key": _cache_key,
    "energy-trace": _energy_trace,
    "questions": _questions,
    "night": _night,
}
