"""A person opens the printed link in a browser of their own; here a real Chromium that phonebench does not know of."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.devices.web.hand import HandDriven
from harness.devices.web.probe import PageFacts, browser_name, read_facts, system_name
from harness.devices.web.process import WITHOUT_GPU, Browser
from harness.devices.web.server import PageServer
from harness.devices.web.web import WebDevice, open_page
from harness.errors import DeviceError
from harness.wire import Delegate, FailureKind, Format, LatencyPass, MeasurePass, Passes, WarmupPass
from tests.devices.web.conftest import brief, outputs_only, run

Files = dict[tuple[str, str], Path]


class Person:
    """Somebody with a browser, who opens a link when it is printed."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.browser = Browser(program, folder, WITHOUT_GPU, lambda *_: None)

    def open(self, link: str) -> None:
        self.browser.open_page(link)


@pytest.fixture(scope="module")
def person(chromium: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    someone = Person(chromium, tmp_path_factory.mktemp("person"))
    yield someone
    someone.browser.end()


@pytest.fixture(scope="module")
def by_hand(person: Person, store: Path) -> Iterator[WebDevice]:
    server = PageServer(store)
    threading.Thread(target=person.open, args=(server.link,)).start()
    with open_page(HandDriven("link", server, wait_s=60), server, "web:link") as device:
        yield device


def test_the_device_is_what_the_page_reports(by_hand: WebDevice) -> None:
    info = by_hand.info
    assert (info.key, info.kind) == ("web:link", "web")
    assert info.model.startswith("Chrome ")
    assert "Linux" in info.os
    assert info.cores
    assert info.memory_bytes
    assert by_hand.conditions() == ()


def test_one_page_serves_every_launch(by_hand: WebDevice, digits_files: Files, digits_inputs: Path) -> None:
    file = digits_files["tflite", "int8"]
    for _ in range(2):
        execution = run(by_hand, brief(Format.TFLITE, file, Delegate.XNNPACK), file, digits_inputs)
        assert execution.reply.failure is None
        assert execution.reply.latency is not None
        # Its process is not ours, so its memory is unknown and not 0.
        assert execution.reply.memory is None
        assert execution.outputs is not None


def test_a_page_that_is_stopped_at_the_deadline_serves_the_next_launch(
    by_hand: WebDevice, digits_files: Files, digits_inputs: Path
) -> None:
    file = digits_files["tflite", "fp32"]
    measure = MeasurePass(min_calls=1, min_ns=10**12, max_ns=10**12)
    latency = LatencyPass(warmup=WarmupPass(min_calls=1, min_ns=0), measure=measure)
    endless = replace(brief(Format.TFLITE, file, Delegate.XNNPACK), passes=Passes(latency=latency))
    failure = run(by_hand, endless, file, digits_inputs, deadline_s=2).reply.failure
    assert failure is not None
    assert failure.kind is FailureKind.TIMEOUT
    request = outputs_only(brief(Format.TFLITE, file, Delegate.XNNPACK))
    assert run(by_hand, request, file, digits_inputs).reply.failure is None


def test_a_page_that_is_closed_loses_its_launch(
    by_hand: WebDevice, person: Person, digits_files: Files, digits_inputs: Path
) -> None:
    file = digits_files["tflite", "fp32"]
    measure = MeasurePass(min_calls=1, min_ns=10**12, max_ns=10**12)
    latency = LatencyPass(warmup=WarmupPass(min_calls=1, min_ns=0), measure=measure)
    endless = replace(brief(Format.TFLITE, file, Delegate.XNNPACK), passes=Passes(latency=latency))

    def close() -> None:
        for pid in person.browser.renderers():
            os.kill(pid, signal.SIGKILL)

    timer = threading.Timer(3, close)
    timer.start()
    failure = run(by_hand, endless, file, digits_inputs).reply.failure
    timer.join()
    assert failure is not None
    assert failure.kind is FailureKind.LOST
    assert "closed or reloaded" in failure.message


def test_the_link_is_printed_and_waited_for(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = PageServer(store)
    opened = open_page(HandDriven("firefox", server, wait_s=0.2), server, "web:firefox")
    with caplog.at_level(logging.WARNING), pytest.raises(DeviceError, match="no browser opened http://localhost"):
        opened.__enter__()
    assert "Open this link in Firefox" in caplog.text
    assert server.link in caplog.text


FACTS = PageFacts(
    user_agent="Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.1 Safari/605.1.15",
    isolated=True,
    clock_step_ns=20_000,
    cores=8,
    memory_gib=0,
    simd=True,
    gpu="",
    webnn="not offered",
)


def test_another_browser_than_the_one_named_is_refused(store: Path) -> None:
    server = PageServer(store)
    opener = HandDriven("firefox", server)
    with pytest.raises(
        DeviceError, match="opened in Safari 18: open it in Firefox, or measure any browser with web:link"
    ):
        opener.learn(FACTS, gpu=False)
    server.close()


@pytest.mark.parametrize(
    ("user_agent", "name", "system"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
            "Firefox 128",
            "X11; Linux x86_64; rv:128.0",
        ),
        (FACTS.user_agent, "Safari 18", "Macintosh; Intel Mac OS X 10_15_7"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 "
            "Safari/537.36 Edg/141.0.0.0",
            "Edge 141",
            "Windows NT 10.0; Win64; x64",
        ),
        (
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 "
            "Chrome/130.0.0.0 Mobile Safari/537.36",
            "Samsung Internet 28",
            "Linux; Android 10; K",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "CriOS/126.0.6478.35 Mobile/15E148 Safari/604.1",
            "Chrome 126",
            "iPhone; CPU iPhone OS 17_5 like Mac OS X",
        ),
        ("curl/8.5.0", "curl", "unknown"),
    ],
)
def test_browsers_are_named_by_themselves_and_not_by_what_they_imitate(user_agent: str, name: str, system: str) -> None:
    assert (browser_name(user_agent), system_name(user_agent)) == (name, system)


def test_a_page_without_simd_or_sense_is_refused() -> None:
    import msgspec

    with pytest.raises(DeviceError, match="no SIMD in WebAssembly"):
        read_facts(msgspec.json.encode(replace(FACTS, simd=False)))
    with pytest.raises(DeviceError, match="does not report what it is: rubbish"):
        read_facts(b"rubbish")
