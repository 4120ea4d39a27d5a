"""The way from a phone in its box to a nightly job: which steps are done on this computer, and what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.devices.registry import DeviceListing, list_devices
from harness.model.resolve import bundled_models
from harness.runners.android.store import built_apks
from harness.spec.formats import own_formats
from harness.store.listing import ListedRun, listed_runs
from harness.system.packages import missing_packages

# Kinds of devices that are this computer, or imitate a phone on it.
_HERE = ("host", "fake", "runner", "web")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: whether it is done, what was found, and the command that does it. ``found`` may be empty."""

    title: str
    done: bool
    found: str
    command: str


def find_steps(results: Path, listings: Sequence[DeviceListing] | None = None) -> tuple[Step, ...]:
    """Return the steps in order, as they stand here. ``listings`` defaults to the devices that are connected now."""
    runs = listed_runs(results)
    return (
        _formats(),
        _first_report(runs),
        _phone(list_devices() if listings is None else listings),
        _apps(),
        _on_a_phone(runs),
        _own_model(runs),
        _nights(results),
    )


def _formats() -> Step:
    ready = [format_.value for format_, row in own_formats().items() if not missing_packages(row.packages)]
    return Step(
        title="Install what one format needs",
        done=bool(ready),
        found=f"can be built here: {', '.join(ready)}" if ready else "no format can be built here yet",
        command="pip install 'phonebench[torch,onnx-export,tflite-export,android]'",
    )


def _first_report(runs: Sequence[ListedRun]) -> Step:
    return Step(
        title="See a report from this computer",
        done=bool(runs),
        found=f"runs: {len(runs)}, the newest {runs[-1].id}" if runs else "",
        command="phonebench run",
    )


def _phone(listings: Sequence[DeviceListing]) -> Step:
    phones = [info for listing in listings for info in listing.infos if "state" in info.details]
    ready = [info for info in phones if not info.details.get("action")]
    if ready:
        found = "ready: " + ", ".join(f"{info.key} ({info.model})" for info in ready)
    elif phones:
        found = "; ".join(f"{info.key}: {info.details['action']}" for info in phones)
    else:
        found = "turn on USB debugging in the phone's developer options, plug it in, and allow this computer"
    return Step(title="Connect a phone", done=bool(ready), found=found, command="phonebench devices")


def _apps() -> Step:
    built = built_apks()
    return Step(
        title="Build the runner apps for Android",
        done=bool(built),
        found=f"built: {', '.join(runtime.value for runtime in built)}" if built else "",
        command="phonebench runner build android",
    )


def _on_a_phone(runs: Sequence[ListedRun]) -> Step:
    phones = sorted({key for run in runs for key in run.devices if key.partition(":")[0] not in _HERE})
    return Step(
        title="Measure on the phone",
        done=bool(phones),
        found=f"measured on: {', '.join(phones)}"
        if phones
        else "the run checks the phone first, and says what to change",
        command="phonebench run digits --device android --format onnx",
    )


def _own_model(runs: Sequence[ListedRun]) -> Step:
    own = sorted({name for run in runs for name in run.models} - set(bundled_models()))
    return Step(
        title="Bring your own model",
        done=bool(own),
        found=f"measured: {', '.join(own)}" if own else "",
        command="phonebench init ./my_model",
    )


def _nights(results: Path) -> Step:
    history = results / "history.sqlite"
    return Step(
        title="Measure every night, and learn what got slower",
        done=history.is_file(),
        found=f"history: {history}"
        if history.is_file()
        else "write nightly.toml first; phonebench nightly --help shows one",
        command="phonebench nightly nightly.toml",
    )
