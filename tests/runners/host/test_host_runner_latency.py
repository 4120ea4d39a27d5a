"""The latency pass with a clock that the test controls."""

from __future__ import annotations

import gc
from dataclasses import replace

import pytest

from harness.runners.host.energy import energy_blocks, generation_blocks, wait_idle
from harness.runners.host.latency import CHUNK, measure_latency
from harness.wire import EnergyPass, Generation, LatencyPass, LatencySamples, MeasurePass, WarmupPass


class Model:
    """Takes its times from a list, then repeats the last one. Its clock moves with its calls and pauses."""

    def __init__(self, *times: int) -> None:
        self.times, self.calls, self.now, self.pauses = times, 0, 0, 0
        self.collecting: list[bool] = []

    def invoke(self) -> None:
        self.now += self.times[min(self.calls, len(self.times) - 1)]
        self.calls += 1
        self.collecting.append(gc.isenabled())

    def clock(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses += 1
        self.now += round(seconds * 1e9)


def asked(*, warm: tuple[int, int] = (0, 0), measure: tuple[int, int, int], interval_ns: int = 0) -> LatencyPass:
    return LatencyPass(
        warmup=WarmupPass(min_calls=warm[0], min_ns=warm[1]),
        measure=MeasurePass(min_calls=measure[0], min_ns=measure[1], max_ns=measure[2]),
        interval_ns=interval_ns,
    )


def measured(model: Model, request: LatencyPass) -> LatencySamples:
    return measure_latency(model.invoke, request, clock=model.clock, sleep=model.sleep).samples()


def test_call_zero_and_the_warm_up_stand_apart() -> None:
    samples = measured(Model(900, 50, 40, 10), asked(warm=(2, 0), measure=(3, 0, 10**9)))
    assert samples == LatencySamples(first_ns=900, warmup_ns=(50, 40), samples_ns=(10, 10, 10), began_ns=900 + 50 + 40)


@pytest.mark.parametrize(
    ("min_calls", "min_ns", "count"), [(5, 0, 5), (0, 95, 10), (5, 95, 10), (20, 95, 20), (0, 0, 1)]
)
def test_both_minima_are_met(min_calls: int, min_ns: int, count: int) -> None:
    assert len(measured(Model(10), asked(measure=(min_calls, min_ns, 10**9))).samples_ns) == count


def test_the_cap_ends_the_measured_calls() -> None:
    assert len(measured(Model(10), asked(measure=(1000, 0, 35))).samples_ns) == 4


def test_the_cap_ends_the_warm_up_too() -> None:
    samples = measured(Model(20), asked(warm=(1000, 0), measure=(1, 0, 50)))
    assert (len(samples.warmup_ns), len(samples.samples_ns)) == (3, 1)


def test_no_warm_up_means_none() -> None:
    assert measured(Model(10), asked(measure=(1, 0, 10**9))).warmup_ns == ()


def test_pauses_are_between_calls_and_not_in_them() -> None:
    model = Model(10)
    samples = measured(model, asked(measure=(4, 0, 10**9), interval_ns=1000))
    assert samples.samples_ns == (10, 10, 10, 10)
    assert model.pauses == 3


def test_more_samples_than_a_chunk_are_all_kept_in_order() -> None:
    samples = measured(Model(*range(2 * CHUNK + 10)), asked(measure=(2 * CHUNK + 1, 0, 10**18)))
    assert samples.samples_ns == tuple(range(1, 2 * CHUNK + 2))


def test_the_garbage_collector_rests_and_comes_back() -> None:
    model = Model(10)
    measured(model, asked(measure=(2, 0, 10**9)))
    assert not any(model.collecting)
    assert gc.isenabled()


def test_with_a_stride_every_call_runs_and_few_are_kept() -> None:
    now, calls = [0], [0]

    def invoke() -> None:
        calls[0] += 1
        now[0] += 10

    asked = LatencyPass(
        warmup=WarmupPass(min_calls=0, min_ns=0),
        measure=MeasurePass(min_calls=1, min_ns=1000, max_ns=5000),
        stride_ns=100,
    )
    found = measure_latency(invoke, asked, clock=lambda: now[0]).samples()
    assert calls[0] == 101
    assert found.at_ns == tuple(range(0, 1000, 100))
    assert found.samples_ns == (10,) * 10


def test_the_idle_block_is_before_call_zero_and_the_load_block_is_the_measured_calls() -> None:
    model = Model(900, 50, 10)
    request = replace(asked(warm=(1, 0), measure=(0, 95, 10**9)), stride_ns=30)
    idle = wait_idle(EnergyPass(idle_ns=4000, settle_ns=500), clock=model.clock, sleep=model.sleep)
    timings = measure_latency(model.invoke, request, clock=model.clock, sleep=model.sleep)
    facts = energy_blocks(idle, timings)
    assert (facts.blocks[0].began_ns, facts.blocks[0].ended_ns) == (500, 4500)
    # Ten calls of 10 ns after call 0 and the warm-up; of these, every third is kept.
    assert (facts.blocks[1].began_ns, facts.blocks[1].ended_ns, facts.blocks[1].calls) == (5450, 5550, 10)
    assert len(timings.samples().samples_ns) == 4


def test_the_load_block_of_a_language_model_counts_its_tokens() -> None:
    idle = wait_idle(EnergyPass(idle_ns=0))
    measured = [
        Generation(begin_ns=begin, prefill_ns=10, tokens_ns=(20, 30, 40), tokens=tokens)
        for begin, tokens in ((1000, 3), (1050, 4))
    ]
    load = generation_blocks(idle, measured).blocks[1]
    assert (load.began_ns, load.ended_ns, load.calls, load.tokens) == (1000, 1090, 2, 7)
