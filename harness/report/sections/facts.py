"""What was measured: the models, the devices, and the run with the versions of all packages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from harness.records import units
from harness.records.device import DeviceInfo
from harness.report.sections.section import Fragment, Line, Report, Tone
from harness.report.view import plain
from harness.store.records import ModelFacts, RunHead

_JSON_FIELDS = ("id", "created_at", "finished_at", "spec", "models", "devices", "host", "versions", "commit", "goal")
# As git abbreviates; enough to compare by eye.
_DIGEST_CHARACTERS = 12

_PAGE = """\
<h2>Models, devices and versions</h2>
<details{{ " open" if cards | length <= few }}><summary>{{ summary }}</summary>
<div class="facts">
{% for title, facts in cards %}
  <div class="card"><h3>{{ title }}</h3><dl>
    {% for key, value in facts %}<dt>{{ key }}</dt><dd>{{ value }}</dd>{% endfor %}
  </dl></div>
{% endfor %}
</div>
</details>
"""

# With more cards than this, they are folded: the table must be near the top.
_FEW = 3


def lines(report: Report) -> Iterator[Line]:
    """Yield the line that names the run."""
    head = report.head
    profiles = ", ".join(dict.fromkeys(c.profile.value for c in head.plan.cells))
    state = "" if head.finished_at else ", not finished"
    words = f"Run {head.id}, {units.stamp(head.created_at)}, profile {profiles or head.spec.profile.value}{state}"
    yield Line(text=words, tone=Tone.STRONG)


def html(report: Report) -> Fragment:
    """Return a card per model, a card per device, and a card of the run."""
    head = report.head
    cards = [(f"Model {model.name}", _model_facts(model)) for model in head.models]
    cards += [(f"Device {device.key}", _device_facts(device)) for device in head.devices]
    # An imported run stores no facts of its models.
    models = {cell.model for cell in head.plan.cells} | {model.name for model in head.models}
    summary = f"{_counted(len(models), 'model')}, {_counted(len(head.devices), 'device')}, run {head.id}"
    values = {"cards": [*cards, ("Run", _run_facts(head))], "summary": summary, "few": _FEW}
    return Fragment(template=_PAGE, values=values)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def json(report: Report) -> dict[str, Any]:
    """Return the head of the run."""
    return {"run": {field: plain(getattr(report.head, field)) for field in _JSON_FIELDS}}


def _model_facts(model: ModelFacts) -> list[tuple[str, str]]:
    data = f"{model.test_count} test, {model.calibration_count} calibration inputs"
    float_accuracy = None
    if model.float_accuracy is not None:
        float_accuracy = f"{units.percent(model.float_accuracy)} top-1 on the test inputs"
    return _present(
        ("task", model.task),
        ("parameters", None if model.parameters is None else f"{model.parameters:,}".replace(",", units.THIN_SPACE)),
        ("source", model.source),
        ("weights", "random" if model.random_weights else model.weights_sha256[:_DIGEST_CHARACTERS]),
        ("data", f"{data}{'' if model.labelled or model.metric else ', without labels'}"),
        ("metric", model.metric),
        ("data digest", None if model.data_sha256 is None else model.data_sha256[:_DIGEST_CHARACTERS]),
        ("float model", float_accuracy),
        ("license", model.license),
    )


def _device_facts(device: DeviceInfo) -> list[tuple[str, str]]:
    return _present(
        ("device", device.model),
        ("system", device.os),
        ("processor", _processor(device)),
        ("memory", None if device.memory_bytes is None else units.size(device.memory_bytes)),
        *(_detail(name, value) for name, value in device.details.items()),
    )


def _detail(name: str, value: str) -> tuple[str, str]:
    """A detail of a device in words; drivers name what is missing ``no_`` and give the reason."""
    words = name.replace("_", " ")
    missing = words.removeprefix("no ")
    return (words, value) if missing == words else (missing, f"none: {value}")


def _processor(device: DeviceInfo) -> str:
    cores = "" if device.cores is None else f"{device.cores} core{'s' if device.cores != 1 else ''}"
    return ", ".join(filter(None, (device.cpu, cores, device.abi)))


def _run_facts(head: RunHead) -> list[tuple[str, str]]:
    return _present(
        ("id", head.id),
        ("took", _duration(head)),
        ("from", f"{head.host.model}, {head.host.os}"),
        ("commit", head.commit[:_DIGEST_CHARACTERS] if head.commit else None),
        # A dozen packages in lines of their own would push the results off the first screen.
        ("packages", ", ".join(f"{name} {version}" for name, version in sorted(head.versions.items()))),
    )


def _present(*facts: tuple[str, str | None]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in facts if value]


def _duration(head: RunHead) -> str | None:
    if head.finished_at is None:
        return None
    begin, end = (datetime.fromisoformat(moment) for moment in (head.created_at, head.finished_at))
    minutes, seconds = divmod(round((end - begin).total_seconds()), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
