"""An ETDump, made with ExecuTorch's own serialiser, is read through its Inspector."""

from __future__ import annotations

import struct

import pytest

from harness.errors import UsageError
from harness.exchange.assemble import Source, assemble
from harness.exchange.content import content_of
from harness.exchange.importers.registry import importer_of
from harness.records.measurement import Measurement

MS = 1_000_000


@pytest.fixture(scope="module")
def dump() -> bytes:
    """Two calls of a method with one operator of its own and one delegate call. Times are in ns."""
    from executorch.devtools.etdump.schema_flatcc import ETDumpFlatCC, Event, ProfileEvent, RunData
    from executorch.devtools.etdump.serialize import serialize_to_etdump_flatcc

    def event(name: str, instruction: int, begin: int, end: int) -> Event:
        chain = 0 if instruction >= 0 else -1
        profile = ProfileEvent(
            name=name, chain_index=chain, instruction_id=instruction, delegate_debug_id_int=-1,
            delegate_debug_id_str=None, delegate_debug_metadata=None, start_time=begin, end_time=end,
        )  # fmt: skip
        return Event(profile_event=profile, allocation_event=None, debug_event=None)

    def run(name: str, events: list[Event]) -> RunData:
        return RunData(name=name, bundled_input_index=-1, allocators=[], events=events)

    load = run("Default", [event("Program::load_method", -1, 0, 5 * MS)])
    calls = [
        run(
            "Execute",
            [
                event("native_call_softmax", 1, 0, softmax * MS),
                event("DELEGATE_CALL", 2, 0, 2 * MS),
                event("Method::execute", -1, 0, whole * MS),
            ],
        )
        for softmax, whole in ((1, 4), (3, 6))
    ]
    data: bytes = serialize_to_etdump_flatcc(ETDumpFlatCC(version=0, run_data=[load, *calls]))
    return data


def imported(data: bytes) -> Measurement:
    content = content_of("garden.etdp", data)
    importer = importer_of(content)
    source = Source(content=content, kind=importer.name, imported=importer.read(content))
    (found,) = assemble([source], lambda _data, _suffix: "").measurements
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("prefixed", [True, False])
def test_an_etdump_has_calls_a_load_and_operators(dump: bytes, prefixed: bool) -> None:
    found = imported(struct.pack("<I", len(dump)) + dump if prefixed else dump)
    assert found.origin is not None
    assert (found.origin.kind, found.cell[:6]) == ("etdump", "garden")
    assert found.latency is not None
    assert (found.latency.median_ns, found.latency.calls) == (5 * MS, 2)
    assert found.load is not None
    assert found.load.first_ns == 5 * MS
    assert found.operators is not None
    times = {operator.name: operator.total_ns for operator in found.operators.operators}
    assert times == {"native_call_softmax": 4 * MS, "DELEGATE_CALL": 4 * MS}


@pytest.mark.filterwarnings("ignore")
def test_an_etdump_that_was_cut_off_is_refused(dump: bytes) -> None:
    with pytest.raises(UsageError, match="Inspector cannot read 'garden.etdp'"):
        imported(dump[: len(dump) // 2])
