"""Whether a browser can be measured in: its program, its page, its clock, and what it offers."""

from __future__ import annotations

from pathlib import Path

from harness.devices.kind import CheckStep, Checkup
from harness.devices.web.open import complete_store, opener_of, serving
from harness.devices.web.probe import PageFacts, browser_name
from harness.devices.web.web import WebDevice
from harness.errors import DeviceError
from harness.runners.web.libraries import LIBRARIES, default_store


def check_browser_of(key: str, *, store: Path | None = None) -> Checkup:
    """Check the browser of ``web:NAME`` step by step. Problems become failed steps; nothing is raised."""
    store = store or default_store()
    steps: list[CheckStep] = [_files(store)]
    try:
        with serving(store) as server, opener_of(key, server) as opener:
            device = WebDevice(opener, server)
            try:
                steps += _steps(device, device.prepare(key))
                # WebGPU is asked for in a browser that is started to have it.
                steps.append(_gpu(device))
            finally:
                device.clean()
                opener.end()
    except DeviceError as error:
        steps.append(CheckStep(name="page" if len(steps) > 1 else "browser", ok=False, detail=str(error)))
        return Checkup(key=key, serial="", steps=tuple(steps))
    return Checkup(key=key, serial=key.partition(":")[2], steps=tuple(steps))


def _files(store: Path) -> CheckStep:
    try:
        complete_store(store)
    except DeviceError as error:
        return CheckStep(name="runtimes", ok=False, detail=str(error))
    titles = ", ".join(f"{library.title} {library.version}" for library in LIBRARIES.values())
    return CheckStep(name="runtimes", ok=True, detail=f"{titles}, in {str(store)!r}")


def _steps(device: WebDevice, facts: PageFacts) -> list[CheckStep]:
    info = device.info
    program = info.details.get("browser") or browser_name(facts.user_agent)
    return [
        CheckStep(name="browser", ok=True, detail=f"{program} on {info.os}, {info.cores} cores"),
        CheckStep(name="page", ok=True, detail="isolated, with SIMD and threads"),
        CheckStep(name="clock", ok=True, detail=f"steps of {facts.clock_step_ns / 1000:g} µs"),
        CheckStep(name="webnn", ok=True, detail=f"{facts.webnn}; no runtime here uses it"),
    ]


def _gpu(device: WebDevice) -> CheckStep:
    try:
        facts = device.probe(gpu=True)
    except DeviceError as error:
        return CheckStep(name="webgpu", ok=False, detail=str(error))
    return CheckStep(name="webgpu", ok=True, detail=facts.gpu or "no adapter: the delegate gpu is not available")
