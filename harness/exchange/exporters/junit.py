"""JUnit XML: a test case per cell, with its figures as properties. A broken file is a failure, a crash an error."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from xml.etree import ElementTree

from harness.exchange.outgoing import Files, Outgoing, readings
from harness.records.measurement import CellStatus, Measurement
from harness.report.view import CellView, full_labels, thread_words
from harness.system.text import xml_text


def suite(outgoing: Outgoing) -> Files:
    """Return the test suite of the run."""
    count = Counter(view.status for view in outgoing.views)
    root = ElementTree.Element(
        "testsuite",
        name=f"phonebench run {outgoing.head.id}",
        timestamp=outgoing.head.created_at,
        tests=str(len(outgoing.views)),
        failures=str(count[CellStatus.BROKEN]),
        errors=str(count[CellStatus.FAILED]),
        skipped=str(count[CellStatus.UNSUPPORTED] + count[CellStatus.PENDING]),
    )
    names = full_labels(outgoing.views)
    for view in outgoing.views:
        _case(root, view, names[view.cell.key])
    ElementTree.indent(root)
    data: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return {"junit.xml": data + b"\n"}


def _case(root: ElementTree.Element, view: CellView, name: str) -> None:
    cell = view.cell
    where = f"{cell.model}.{cell.device}"
    threads = thread_words(cell.threads) if cell.threads else ""
    # Where cells differ in their threads, the name says them already.
    full = name if threads in name else f"{name} {threads}"
    attributes = {"classname": xml_text(where), "name": xml_text(full)}
    seconds = _seconds(view.measurement)
    case = ElementTree.SubElement(root, "testcase", attributes | ({} if seconds is None else {"time": f"{seconds:g}"}))
    facts = {"cell": cell.key, "status": view.status.value}
    facts |= {f"{metric.name} ({metric.unit})": repr(reading.value) for metric, reading in readings(view)}
    properties = ElementTree.SubElement(case, "properties")
    for key, value in facts.items():
        ElementTree.SubElement(properties, "property", name=key, value=xml_text(value))
    words = xml_text(view.reason or "no reason was recorded")
    match view.status:
        case CellStatus.BROKEN:
            ElementTree.SubElement(case, "failure", message=words, type="broken")
        case CellStatus.FAILED:
            ElementTree.SubElement(case, "error", message=words, type="failed")
        case CellStatus.UNSUPPORTED:
            ElementTree.SubElement(case, "skipped", message=words)
        case CellStatus.PENDING:
            ElementTree.SubElement(case, "skipped", message="the cell has not run yet")
        case CellStatus.OK:
            pass


def _seconds(measurement: Measurement | None) -> float | None:
    """How long the cell took, if both times are known."""
    if measurement is None or not measurement.started_at or not measurement.ended_at:
        return None
    begin, end = (datetime.fromisoformat(time) for time in (measurement.started_at, measurement.ended_at))
    return (end - begin).total_seconds()
