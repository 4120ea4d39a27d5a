"""Reads the table of operators that ``benchmark_model --enable_op_profiling=true`` prints.

Its columns are those of TensorFlow's ``StatsCalculator``. Times are means over the measured calls, in ms with three
decimal places. Operators inside a delegate are in a block of their own, or marked ``Delegate/``, by version.
"""

from __future__ import annotations

import re

from harness.wire import Delegate, OperatorTime

_NS_PER_MS = 1_000_000
_MEASURED = "Operator-wise Profiling Info for Regular Benchmark Runs"
_INSIDE = "Delegate internal:"
_BLOCK = re.compile(r"=+ Run Order =+\s*\n[^\n]*\n(?P<rows>(?:[^\n]*\S[^\n]*(?:\n|\Z))*)")
# Type, start, first, mean, share, cumulated share, memory, calls, name; the version decides what separates them.
_ROW = re.compile(
    r"^\s*(?P<kind>\S.*?)[\s,]+[\d.]+[\s,]+[\d.]+[\s,]+(?P<mean_ms>[\d.]+)[\s,]+[\d.]+%[\s,]+[\d.]+%[\s,]+[\d.-]+"
    r"[\s,]+\d+[\s,]+(?P<name>\S.*?)\s*$",
    re.MULTILINE,
)
_MARK = "Delegate/"
# How a delegate's own node is called: TfLiteXNNPackDelegate, TfLiteGpuDelegateV2, DELEGATE.
_NODE = re.compile(r"TfLite\w*Delegate|DELEGATE", re.IGNORECASE)


def operator_table(output: str, delegate: Delegate) -> tuple[OperatorTime, ...]:
    """Return the operators in the order in which they ran; empty if there is no table. ``delegate``: what was used."""
    own, _, inside = output.partition(_MEASURED)[2].partition(_INSIDE)
    inner = [_operator(row, delegate, inner=True) for row in _rows(inside)]
    outer = [_operator(row, delegate, inner=False) for row in _rows(own)]
    # A delegate that reports its operators would be counted twice with the node that they run in.
    kept = [time for time in outer if not (inner and _NODE.fullmatch(time.kind))]
    return (*kept, *inner)


def _rows(text: str) -> list[re.Match[str]]:
    block = _BLOCK.search(text)
    return list(_ROW.finditer(block["rows"])) if block else []


def _operator(row: re.Match[str], delegate: Delegate, *, inner: bool) -> OperatorTime:
    kind = row["kind"]
    delegated = inner or kind.startswith(_MARK) or _NODE.search(kind) is not None
    return OperatorTime(
        name=row["name"],
        kind=kind.removeprefix(_MARK),
        samples_ns=(),
        mean_ns=round(float(row["mean_ms"]) * _NS_PER_MS),
        ran_on=(delegate if delegated else Delegate.CPU).value,
    )
