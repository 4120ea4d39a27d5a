"""The wire records against the golden files, which the tests of every runner read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.wire import (
    SCHEMA,
    Accelerator,
    DType,
    FailureKind,
    NodesLeft,
    ReplyStatus,
    SummarisedTimes,
    TensorSpec,
    WireError,
    decode_reply,
    decode_request,
    encode,
)
from harness.wire.tensors import raw, read_record, record_bytes

# What earlier runners do not write of an operator.
PLACES = ("ran_on", "reason", "nodes", "mean_ns")
GOLDEN = Path(__file__).parents[1] / "golden" / "wire"


def golden(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


def as_then(written: Any, then: Any) -> Any:
    """``written`` without the fields that came later: the golden file lacks them, and nothing set them."""
    if isinstance(written, list) and isinstance(then, list):
        return [as_then(new, old) for new, old in zip(written, then, strict=True)]
    if isinstance(written, dict) and isinstance(then, dict):
        unset = (key for key, new in written.items() if key not in then and (new is None or new is False))
        return {key: as_then(written[key], then.get(key)) for key in written.keys() - set(unset)}
    return written


def names(pattern: str) -> list[str]:
    return sorted(path.name for path in GOLDEN.glob(pattern))


@pytest.mark.parametrize(
    "name", ["request-full.json", "request-minimal.json", "request-energy.json", "request-language.json"]
)
def test_a_request_survives_the_round_trip(name: str) -> None:
    request = decode_request(golden(name))
    assert decode_request(encode(request)) == request


@pytest.mark.parametrize("name", [n for n in names("reply-*.json") if "other-schema" not in n])
def test_a_reply_survives_the_round_trip(name: str) -> None:
    reply = decode_reply(golden(name))
    assert decode_reply(encode(reply)) == reply


def test_the_full_request_is_written_as_the_golden_file_has_it() -> None:
    data = golden("request-full.json")
    written = json.loads(encode(decode_request(data)))
    # The file is of the first version, which had no digest of the inputs.
    assert written["inputs"].pop("sha256") == ""
    assert written == json.loads(data)


def test_the_full_reply_is_written_as_the_golden_file_has_it() -> None:
    data = golden("reply-ok-full.json")
    written = json.loads(encode(decode_reply(data)))
    # What stands in for single calls, and what another program printed, no runner of ours writes.
    assert (written.pop("transcript"), written["latency"].pop("told")) == (None, None)
    assert written["latency"].pop("calls_per_sample") == 1
    assert (written.pop("profile_facts"), written["runtime"].pop("accelerator")) == (None, None)
    assert written["runtime"].pop("nodes_left") == []
    assert [tuple(o.pop(name) for name in PLACES) for o in written["profile"]] == [("", "", 1, None)] * 2
    assert as_then(written, json.loads(data)) == json.loads(data)


def test_the_reply_of_another_program_is_written_as_the_golden_file_has_it() -> None:
    data = golden("reply-ok-shell.json")
    written = json.loads(encode(decode_reply(data)))
    assert written["latency"].pop("calls_per_sample") == 1
    assert (written.pop("profile_facts"), written["runtime"].pop("accelerator")) == (None, None)
    assert written["runtime"].pop("nodes_left") == []
    assert as_then(written, json.loads(data)) == json.loads(data)


def test_an_operator_profile_is_written_as_the_golden_file_has_it() -> None:
    data = golden("reply-ok-operators.json")
    reply = decode_reply(data)
    assert (reply.profile[1].ran_on, reply.profile[1].reason, reply.profile[0].nodes) == ("cpu", "no kernel", 7)
    assert reply.runtime is not None
    assert reply.runtime.accelerator == Accelerator(name="SwiftShader Device (Subzero)", software=True)
    assert reply.runtime.nodes_left[0] == NodesLeft(kind="TOPK_V2", nodes=1, reason="no kernel")
    written, kept = json.loads(encode(reply)), json.loads(data)
    assert [operator.pop("mean_ns") for operator in written["profile"]] == [None] * 3
    for key in ("profile", "profile_facts", "runtime"):
        assert as_then(written[key], kept[key]) == kept[key]


@pytest.mark.parametrize(
    ("field", "value"),
    [("samples_ns", [-5]), ("mean_ns", -5)],
)
def test_an_operator_with_a_negative_time_is_refused(field: str, value: Any) -> None:
    reply = json.loads(golden("reply-ok-operators.json"))
    reply["profile"][1][field] = value
    with pytest.raises(WireError, match="-5 ns"):
        decode_reply(json.dumps(reply).encode())


def test_what_a_reply_leaves_out_is_none_and_not_zero() -> None:
    reply = decode_reply(golden("reply-ok-minimal.json"))
    assert (reply.latency, reply.memory, reply.outputs, reply.load, reply.runtime) == (None,) * 5


def test_what_was_measured_before_a_failure_stays_in_the_reply() -> None:
    reply = decode_reply(golden("reply-failed-partial.json"))
    assert reply.status is ReplyStatus.FAILED
    assert reply.latency is not None
    assert reply.latency.samples_ns[0] == 1_180_000


def test_every_failure_kind_has_a_golden_reply() -> None:
    replies = [decode_reply(golden(name)) for name in names("reply-*.json") if "other-schema" not in name]
    assert {reply.failure.kind for reply in replies if reply.failure} == set(FailureKind)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("refused-failed-without-failure.json", "failure is None"),
        ("refused-ok-with-failure.json", "one of them is wrong"),
        ("refused-negative-time.json", "-5 ns"),
        ("refused-fractional-time.json", "samples_ns"),
        ("refused-unknown-status.json", "'fine'"),
        ("refused-missing-cell.json", "cell"),
    ],
)
def test_a_reply_that_is_wrong_is_refused_with_the_field(name: str, said: str) -> None:
    with pytest.raises(WireError, match=said):
        decode_reply(golden(name))


@pytest.mark.parametrize(
    ("name", "decode"), [("request-other-schema.json", decode_request), ("reply-other-schema.json", decode_reply)]
)
def test_another_schema_is_refused_by_both_versions(name: str, decode: Any) -> None:
    with pytest.raises(WireError, match=f"schema {SCHEMA + 1}.*schema {SCHEMA}"):
        decode(golden(name))


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"\xff\xfe", b"null", golden("reply-ok-full.json")[:400]])
def test_what_is_not_a_reply_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        decode_reply(data)


MIXED = (
    TensorSpec(name="scores", dtype=DType.FLOAT32, shape=(1, 2)),
    TensorSpec(name="tokens", dtype=DType.INT64, shape=(2,)),
    TensorSpec(name="mask", dtype=DType.BOOL, shape=(3,)),
)


def test_the_golden_tensors_read_as_they_are_described() -> None:
    described = json.loads(golden("tensors-mixed.json"))
    assert (
        tuple(TensorSpec(**{**t, "dtype": DType(t["dtype"]), "shape": tuple(t["shape"])}) for t in described["tensors"])
        == MIXED
    )
    for index, values in enumerate(described["records"]):
        record = read_record(GOLDEN / "tensors-mixed.bin", MIXED, index)
        assert [array.tolist() for array in record] == values


def test_the_golden_tensors_are_written_byte_for_byte() -> None:
    described = json.loads(golden("tensors-mixed.json"))
    records = [[np.array(v, dtype=s.dtype.value) for v, s in zip(r, MIXED, strict=True)] for r in described["records"]]
    assert b"".join(raw(record) for record in records) == golden("tensors-mixed.bin")
    assert len(golden("tensors-mixed.bin")) == 2 * record_bytes(MIXED) == 2 * (8 + 16 + 3)


def test_bytes_that_are_no_text_are_refused_as_a_reply() -> None:
    whole = golden("reply-ok-minimal.json")
    with pytest.raises(WireError, match="reply"):
        decode_reply(whole.replace(b'"host"', b'"h\xffst"'))


@pytest.mark.parametrize(
    ("moments", "said"),
    [([0, 5], "2 start times for 3 samples"), ([0, 9, 4], "so did the runner's clock"), ([0, 4, 9], None)],
)
def test_the_moments_of_a_thinned_launch_never_go_backwards(moments: list[int], said: str | None) -> None:
    reply = json.loads(golden("reply-ok-full.json"))
    reply["latency"] |= {"samples_ns": [7, 7, 7], "at_ns": moments}
    data = json.dumps(reply).encode()
    if said is None:
        latency = decode_reply(data).latency
        assert latency is not None
        assert latency.at_ns == tuple(moments)
    else:
        with pytest.raises(WireError, match=said):
            decode_reply(data)


def test_a_summary_stands_in_for_samples_and_never_beside_them() -> None:
    reply = json.loads(golden("reply-ok-full.json"))
    told = {"calls": 50, "min_ns": 9, "p5_ns": 9, "median_ns": 10, "p95_ns": 12, "max_ns": 14, "mean_ns": 10}
    reply["latency"] |= {"told": told}
    with pytest.raises(WireError, match="samples and a summary in their place: one of them is wrong"):
        decode_reply(json.dumps(reply).encode())
    reply["latency"] |= {"samples_ns": [], "at_ns": []}
    latency = decode_reply(json.dumps(reply).encode()).latency
    assert latency is not None
    assert latency.told == SummarisedTimes(**told)
    reply["latency"]["told"] = told | {"calls": 0}
    with pytest.raises(WireError, match="a summary of 0 calls"):
        decode_reply(json.dumps(reply).encode())
    reply["latency"]["told"] = told | {"p5_ns": -1}
    with pytest.raises(WireError, match="negative time"):
        decode_reply(json.dumps(reply).encode())


def test_a_sample_may_stand_for_several_calls_but_not_for_none() -> None:
    reply = json.loads(golden("reply-ok-minimal.json"))
    reply["latency"] = {"first_ns": 5, "warmup_ns": [], "samples_ns": [7, 8], "calls_per_sample": 64}
    latency = decode_reply(json.dumps(reply).encode()).latency
    assert latency is not None
    assert latency.calls_per_sample == 64
    reply["latency"]["calls_per_sample"] = 0
    with pytest.raises(WireError, match="0 calls per sample"):
        decode_reply(json.dumps(reply).encode())


def test_a_pass_that_came_later_is_left_out_unless_it_is_asked_for() -> None:
    plain, asked = decode_request(golden("request-minimal.json")), decode_request(golden("request-energy.json"))
    assert "energy" not in json.loads(encode(plain))["passes"]
    assert json.loads(encode(asked))["passes"]["energy"] == {"idle_ns": 40 * 10**9, "settle_ns": 3 * 10**9}


def test_the_energy_of_a_reply_is_written_as_the_golden_file_has_it() -> None:
    kept = json.loads(golden("reply-ok-energy.json"))["energy"]
    reply = decode_reply(golden("reply-ok-energy.json"))
    assert reply.energy is not None
    assert [block.tokens for block in reply.energy.blocks] == [None, 80_000]
    written = json.loads(encode(reply))["energy"]
    assert written["blocks"][1] == kept["blocks"][1]
    assert written["counter"]["readings"][1]["microjoules"] == kept["counter"]["readings"][1]["microjoules"]
    assert (written["counter"]["volts"], written["boot_offset_ns"]) == (3.91, 7_000_000_000_000)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("blocks", 0, "ended_ns"), 0, "a block of energy that cannot be"),
        (("blocks", 1, "calls"), -1, "a block of energy that cannot be"),
        (("counter", "readings", 1, "at_ns"), 0, "go back in time"),
        (("counter", "source"), "a guess", "a guess"),
    ],
)
def test_an_energy_that_cannot_be_is_refused(path: tuple[Any, ...], value: Any, says: str) -> None:
    reply = json.loads(golden("reply-ok-energy.json"))
    place = reply["energy"]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(WireError, match=says):
        decode_reply(json.dumps(reply).encode())


def test_the_passes_of_language_models_are_written_only_where_they_are_asked_for() -> None:
    plain, asked = decode_request(golden("request-minimal.json")), decode_request(golden("request-language.json"))
    assert not {"generate", "score"} & json.loads(encode(plain))["passes"].keys()
    kept = json.loads(golden("request-language.json"))["passes"]
    written = json.loads(encode(asked))["passes"]
    assert (written["generate"], written["score"]) == (kept["generate"], kept["score"])
    # Nor is a text, which the first runners of language models refuse as an unknown field.
    assert asked.passes.generate is not None
    text = replace(asked.passes.generate, prompt_text="the of", tokenizer="tokenizer.json")
    with_text = replace(asked, passes=replace(asked.passes, generate=text))
    assert json.loads(encode(with_text))["passes"]["generate"]["prompt_text"] == "the of"
    assert decode_request(encode(with_text)) == with_text


def test_the_generations_of_a_reply_are_written_as_the_golden_file_has_them() -> None:
    data = golden("reply-ok-language.json")
    written = json.loads(encode(decode_reply(data)))["generation"]
    assert as_then(written, json.loads(data)["generation"]) == json.loads(data)["generation"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tokens_ns": [3, 2]}, "go backwards"),
        ({"prefill_ns": 9_000_000}, "go backwards"),
        ({"tokens": 1}, "counts 1 tokens"),
    ],
)
def test_a_generation_that_contradicts_itself_is_refused(change: dict[str, Any], words: str) -> None:
    reply = json.loads(golden("reply-ok-language.json"))
    reply["generation"]["measured"][0] |= change
    with pytest.raises(WireError, match=words):
        decode_reply(json.dumps(reply).encode())
