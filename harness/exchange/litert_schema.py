"""The fields of LiteRT's ``BenchmarkResult`` with their numbers and wire types (package ``tflite.tools.benchmark``)."""

from __future__ import annotations

from harness.readers.protobuf import Wire

_FLOAT, _INT = Wire.FOUR_BYTES, Wire.VARINT

# The parts of the message in order; the name is field 1.
PARTS = ("latency_metrics", "memory_metrics", "misc_metrics")


class _Messages(dict[int, str]):
    """A field that is missing makes the bytes another message."""

    def __missing__(self, number: int) -> str:
        msg = f"the message has no field {number}"
        raise ValueError(msg)


MESSAGES = _Messages({1: "name", 2: "latency_metrics", 3: "memory_metrics", 4: "misc_metrics"})
NUMBERS = {name: number for number, name in MESSAGES.items()}

FIELDS: dict[str, dict[str, tuple[int, Wire]]] = {
    "latency_metrics": {
        name: (number, _FLOAT)
        for number, name in enumerate(
            (
                "avg_ms", "min_ms", "max_ms", "stddev_ms", "median_ms", "p5_ms", "p95_ms", "init_ms",
                "first_inference_ms", "average_warm_up_ms",
            ),
            1,
        )
    },
    "memory_metrics": {
        "init_footprint_kb": (1, _INT),
        "overall_footprint_kb": (2, _INT),
        "peak_mem_mb": (3, _FLOAT),
    },
    "misc_metrics": {
        "model_size_mb": (1, _FLOAT),
        "num_runs": (2, _INT),
        "num_warmup_runs": (3, _INT),
        "model_throughput_in_mb_per_sec": (4, _FLOAT),
    },
}  # fmt: skip
