"""What an operator profile computes from its records, counted by hand."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from harness.records.measurement import Measurement
from harness.records.operators import Operator, OperatorProfile

CONV = Operator(name="conv1", kind="Conv", calls=4, total_ns=600, ran_on="xnnpack", delegated=True)
POOL = Operator(name="pool", kind="MaxPool", calls=4, total_ns=200, ran_on="cpu", delegated=False, reason="no kernel")
GEMM = Operator(name="fc", kind="Gemm", calls=2, total_ns=1200, ran_on="xnnpack", delegated=True)
CAST = Operator(name="cast", kind="Cast", ran_on="cpu", delegated=False)
PROFILE = OperatorProfile(source="onnxruntime 1.31.1", calls=4, operators=(CONV, POOL, GEMM, CAST))


def test_shares_are_of_the_time_of_all_timed_operators() -> None:
    assert PROFILE.total_ns == 2000
    assert [PROFILE.share(operator) for operator in PROFILE.operators] == [0.3, 0.1, 0.6, None]
    assert [operator.mean_ns for operator in PROFILE.operators] == [150, 50, 600, None]


def test_operators_are_listed_by_their_time_and_those_without_one_are_left_out() -> None:
    assert [operator.name for operator in PROFILE.by_time] == ["fc", "conv1", "pool"]
    assert [operator.name for operator in PROFILE.not_delegated] == ["pool", "cast"]


@pytest.mark.parametrize("operators", [(), (CAST,), (Operator(name="a", kind="A", calls=1, total_ns=0),)])
def test_there_is_no_share_without_times(operators: tuple[Operator, ...]) -> None:
    profile = OperatorProfile(source="tool", operators=operators)
    assert not profile.total_ns
    assert [profile.share(operator) for operator in operators] == [None] * len(operators)


def test_a_measurement_of_an_earlier_version_has_no_profile_and_a_new_one_keeps_it() -> None:
    old = b'{"cell": "c", "status": "ok", "started_at": "a", "ended_at": "b"}'
    measurement = msgspec.json.decode(old, type=Measurement)
    assert measurement.operators is None
    profiled = replace(measurement, operators=PROFILE)
    assert msgspec.json.decode(msgspec.json.encode(profiled), type=Measurement) == profiled
