"""Browsers that crash, hang, are killed or too old, or are no browsers: each has its sentence, and nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from harness.devices.web.browsers import find_browser
from harness.devices.web.driven import DrivenBrowser
from harness.devices.web.kind import WEB
from harness.devices.web.open import open_web
from harness.devices.web.server import ISOLATION, PageServer
from harness.devices.web.web import open_page
from harness.errors import DeviceError
from harness.runners.web.libraries import LIBRARIES
from harness.wire import Delegate, FailureKind, Format, LatencyPass, MeasurePass, Passes, RunRequest, WarmupPass
from tests.devices.web.conftest import Bench, brief, outputs_only, run

Files = dict[tuple[str, str], Path]
Standin = Callable[[str], Path]


def endless(file: Path) -> RunRequest:
    """A launch that measures for a quarter of an hour."""
    measure = MeasurePass(min_calls=1, min_ns=10**12, max_ns=10**12)
    latency = LatencyPass(warmup=WarmupPass(min_calls=1, min_ns=0), measure=measure)
    return replace(brief(Format.TFLITE, file, Delegate.XNNPACK), passes=Passes(latency=latency))


def browsers() -> list[psutil.Process]:
    """The browsers that this process has started."""
    mine = psutil.Process().children()
    return [process for process in mine if "--remote-debugging-pipe" in " ".join(process.cmdline())]


@contextmanager
def during_the_launch(bench: Bench, act: Callable[[], None]) -> Iterator[None]:
    """Runs ``act`` once the page computes, while the block waits for its launch."""

    def wait_and_act() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (bench.server.connected() and len(bench.opener.renderers()) > 0):
            time.sleep(0.05)
        act()

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    yield
    thread.join()


def failure_of(bench: Bench, files: Files, inputs: Path, *, deadline_s: float = 60) -> tuple[FailureKind, str]:
    file = files["tflite", "fp32"]
    failure = run(bench.device, endless(file), file, inputs, deadline_s=deadline_s).reply.failure
    assert failure is not None
    return failure.kind, failure.message


def works(bench: Bench, files: Files, inputs: Path) -> bool:
    """Whether the next launch runs as if nothing had been."""
    file = files["tflite", "fp32"]
    request = outputs_only(brief(Format.TFLITE, file, Delegate.XNNPACK))
    return run(bench.device, request, file, inputs).reply.failure is None


def test_a_page_that_gives_no_reply_is_closed_at_the_deadline(
    bench: Bench, digits_files: Files, digits_inputs: Path
) -> None:
    kind, message = failure_of(bench, digits_files, digits_inputs, deadline_s=2)
    assert kind is FailureKind.TIMEOUT
    assert "no reply within 2 s" in message
    assert browsers() == []
    assert works(bench, digits_files, digits_inputs)


@pytest.mark.parametrize(
    ("sign", "kind", "said"),
    [(signal.SIGSEGV, FailureKind.CRASH, "crashed"), (signal.SIGKILL, FailureKind.OOM, "was killed")],
)
def test_a_page_that_crashes_is_told_from_one_that_was_killed(
    bench: Bench, digits_files: Files, digits_inputs: Path, sign: signal.Signals, kind: FailureKind, said: str
) -> None:
    def crash() -> None:
        for pid in bench.opener.renderers():
            os.kill(pid, sign)

    with during_the_launch(bench, crash):
        found, message = failure_of(bench, digits_files, digits_inputs)
    assert found is kind
    assert f"the page {said}" in message


@pytest.mark.parametrize(
    ("sign", "kind", "said"),
    [(signal.SIGKILL, FailureKind.OOM, "ran out of memory"), (signal.SIGTERM, FailureKind.LOST, "was closed")],
)
def test_a_browser_that_is_ended_is_explained_by_its_signal(
    bench: Bench, digits_files: Files, digits_inputs: Path, sign: signal.Signals, kind: FailureKind, said: str
) -> None:
    with during_the_launch(bench, lambda: browsers()[0].send_signal(sign)):
        found, message = failure_of(bench, digits_files, digits_inputs)
    assert found is kind
    assert said in message
    assert works(bench, digits_files, digits_inputs)


def test_a_launch_in_flight_ends_when_the_device_is_cleaned(
    bench: Bench, digits_files: Files, digits_inputs: Path
) -> None:
    with during_the_launch(bench, bench.device.clean):
        kind, _ = failure_of(bench, digits_files, digits_inputs)
    assert kind is not FailureKind.TIMEOUT
    assert browsers() == []


def test_an_artifact_must_be_pushed_first(bench: Bench, digits_files: Files, digits_inputs: Path) -> None:
    request = brief(Format.TFLITE, digits_files["tflite", "fp16"], Delegate.XNNPACK)
    request = replace(request, artifact=replace(request.artifact, sha256="1" * 64))
    with pytest.raises(DeviceError, match="push it before the launch"):
        bench.device.execute(request, digits_inputs, 10)


def test_a_browser_dies_with_a_phonebench_that_is_killed(chromium: Path, tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from harness.devices.web.process import Browser;"
        f"b = Browser(Path({str(chromium)!r}), Path({str(tmp_path)!r}), ('--disable-gpu',), lambda *_: None);"
        "b.version(); print(b.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as phonebench:
        assert phonebench.stdout is not None
        group = int(phonebench.stdout.readline())
        family = [process for process in psutil.process_iter() if group_of(process) == group]
        assert len(family) > 1
        phonebench.kill()
    _, left = psutil.wait_procs(family, timeout=30)
    assert left == []


def group_of(process: psutil.Process) -> int:
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return 0


@pytest.mark.parametrize("lacking", sorted(ISOLATION)[:2])
def test_without_isolation_nothing_is_measured(store: Path, chromium: Path, lacking: str) -> None:
    server = PageServer(store, isolation={name: value for name, value in ISOLATION.items() if name != lacking})
    opened = open_page(DrivenBrowser(chromium, "chromium", server), server, "web:chromium")
    with pytest.raises(DeviceError, match="not isolated"):
        opened.__enter__()
    assert browsers() == []


def open_standin(program: Path, store: Path) -> None:
    """Open a program as if it were a browser, with little patience."""
    server = PageServer(store)
    with open_page(DrivenBrowser(program, "chromium", server, patience_s=1), server, "web:chromium"):
        pass


def test_a_browser_that_is_too_old_is_refused_with_its_version(standin: Standin, tmp_path: Path) -> None:
    program = standin("serve(Browser_getVersion={'product': 'Chrome/90.0.4430.212'})")
    with pytest.raises(DeviceError, match=r"Chrome 90\.0\.4430\.212, which is too old: update it to version 114"):
        open_standin(program, tmp_path)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("print('cannot open display'); sys.exit(3)", "having printed: cannot open display .exit code 3.; check that"),
        ("print('FATAL: No usable sandbox! Update your kernel'); sys.exit(1)", "has no sandbox here"),
        ("time.sleep(60)", "cannot be driven .*gave no answer to Browser.getVersion within 1 s"),
        ("serve()", "cannot be driven"),
    ],
)
def test_a_program_that_is_no_browser_is_refused_with_what_it_did(
    standin: Standin, tmp_path: Path, body: str, said: str
) -> None:
    with pytest.raises(DeviceError, match=said):
        open_standin(standin(body), tmp_path)


def test_a_path_without_a_browser_says_so(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no program")
    with pytest.raises(DeviceError, match="is not a program that can be run"):
        find_browser(str(text))
    with pytest.raises(DeviceError, match="does not exist"):
        find_browser(str(tmp_path / "nothing"))


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("web:", "names no browser"),
        ("web:chromum", "did you mean 'chromium'"),
        ("web:Chromium 5", "did you mean 'chromium'"),
        ("web:netscape", "use one of android:SERIAL, brave, chrome, chromium, edge, firefox, link, safari"),
    ],
)
def test_a_key_of_no_browser_is_refused(key: str, said: str) -> None:
    with pytest.raises(DeviceError, match=said):
        WEB.check_key(key)


def test_files_that_are_missing_name_what_to_get(tmp_path: Path) -> None:
    """Without npm in PATH the two archives are named, and the command that takes them."""
    script = (
        "import sys; from pathlib import Path; from harness.devices.web.open import complete_store;"
        "from harness.errors import DeviceError\n"
        "try: complete_store(Path(sys.argv[1]))\nexcept DeviceError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], env={"PATH": ""}, capture_output=True, text=True, check=True
    )
    assert "get onnxruntime-web-1.30.0.tgz and run: phonebench runner install web" in done.stdout


def test_a_damaged_library_is_noticed_before_anything_runs(
    store: Path, tmp_path: Path, digits_files: Files, digits_inputs: Path, chromium: Path
) -> None:
    for library in LIBRARIES.values():
        (tmp_path / library.folder).mkdir()
        for name in (file.name for file in library.files):
            (tmp_path / library.folder / name).symlink_to(store / library.folder / name)
    damaged = tmp_path / LIBRARIES[Format.TFLITE].folder / "litert_wasm_internal.wasm"
    damaged.unlink()
    damaged.write_bytes(b"\0asm damaged")
    file = digits_files["tflite", "fp32"]
    with (
        open_web(f"web:{chromium}", store=tmp_path) as device,
        pytest.raises(DeviceError, match="is not the pinned file of LiteRT.js; run: phonebench runner install web"),
    ):
        run(device, outputs_only(brief(Format.TFLITE, file, Delegate.XNNPACK)), file, digits_inputs)
