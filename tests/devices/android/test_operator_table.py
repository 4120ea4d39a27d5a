"""The table of ``benchmark_model --enable_op_profiling``, as LiteRT's own library writes it and as its sources say."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.devices.android.shell.shelljob import ToolOutput
from harness.devices.android.shell.shellreply import read_output
from harness.devices.android.shell.tools.operator_table import operator_table
from harness.devices.android.shell.tools.registry import TOOLS
from harness.wire import Delegate, Format, OperatorTime
from tests.devices.android.test_shell_tools import JOB, LITERT, WHOLE
from tests.readers.tflite_files import tflite_chain

TITLE = "Operator-wise Profiling Info for Regular Benchmark Runs:\n"
HEAD = "[node type]\t[start]\t[first]\t[avg ms]\t[%]\t[cdf%]\t[mem KB]\t[times called]\t[Name]"
# In the shape of ProfileSummaryDefaultFormatter, with XNNPACK's operators in a block of their own.
PRINTED = f"""Profiling Info for Benchmark Initialization:
============================== Run Order ==============================
{HEAD}
\tAllocateTensors\t0.000\t1.024\t1.024\t100.000%\t100.000%\t12.000\t1\tAllocateTensors/0

{TITLE}============================== Run Order ==============================
{HEAD}
\tTfLiteXNNPackDelegate\t0.010\t1.400\t1.380\t60.000%\t60.000%\t0.000\t1\t[a]:7
\tTOPK_V2\t1.390\t0.024\t0.020\t40.000%\t100.000%\t0.000\t1\t[values, places]:5

============================== Top by Computation Time ==============================
{HEAD}
\tTfLiteXNNPackDelegate\t0.010\t1.400\t1.380\t60.000%\t60.000%\t0.000\t1\t[a]:7

Number of nodes executed: 2
Delegate internal:
============================== Run Order ==============================
{HEAD}
\tConvolution (NHWC, F32) IGEMM\t0.000\t1.100\t1.050\t76.000%\t76.000%\t0.000\t1\tDelegate/Convolution:0
\tAdd (ND)\t0.000\t0.330\t0.330\t24.000%\t100.000%\t0.000\t1\tDelegate/Add (ND):1

============================== Top by Computation Time ==============================
"""


def test_operators_inside_a_delegate_are_not_counted_twice() -> None:
    assert operator_table(PRINTED, Delegate.XNNPACK) == (
        OperatorTime(name="[values, places]:5", kind="TOPK_V2", samples_ns=(), mean_ns=20_000, ran_on="cpu"),
        OperatorTime(
            name="Delegate/Convolution:0",
            kind="Convolution (NHWC, F32) IGEMM",
            samples_ns=(),
            mean_ns=1_050_000,
            ran_on="xnnpack",
        ),
        OperatorTime(name="Delegate/Add (ND):1", kind="Add (ND)", samples_ns=(), mean_ns=330_000, ran_on="xnnpack"),
    )


@pytest.mark.parametrize("node", ["TfLiteGpuDelegateV2", "DELEGATE", "TfLiteNnapiDelegate", "TfLiteXNNPackDelegate"])
def test_a_delegate_without_a_profiler_of_its_own_is_one_operator(node: str) -> None:
    text = PRINTED.partition("Delegate internal:")[0].replace("TfLiteXNNPackDelegate", node)
    found = operator_table(text, Delegate.GPU)
    assert [(o.kind, o.ran_on, o.mean_ns) for o in found] == [(node, "gpu", 1_380_000), ("TOPK_V2", "cpu", 20_000)]


@pytest.mark.parametrize("text", ["", WHOLE, TITLE, PRINTED[:300]])
def test_without_a_table_there_are_no_operators(text: str) -> None:
    assert operator_table(text, Delegate.XNNPACK) == ()


def test_a_table_of_litert_itself_is_read_row_by_row(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert.interpreter")
    from harness.runners.host.runtimes.litert_library import DELEGATE_NODE, KERNEL, ProfiledModel

    path = tmp_path / "chain.tflite"
    path.write_bytes(tflite_chain(["ABS", "LOG_SOFTMAX", "NEG", "LOG_SOFTMAX", "FLOOR"]))
    with closing(ProfiledModel(path, kernels="delegate", threads=1)) as model:
        model.set_inputs({0: np.ones((1, 8, 8, 4), np.float32)})
        model.start()
        model.run()
        events: list[Any] = [e for e in model.events() if e.type in (KERNEL, DELEGATE_NODE)]
        found = operator_table(TITLE + model.summary(), Delegate.XNNPACK)
    # The table has one row for operators of one name at one place of several partitions.
    assert {o.kind for o in found} == {e.tag for e in events}
    assert {o.kind for o in found if o.ran_on == "cpu"} == {e.tag for e in events if e.type == KERNEL}
    assert Counter(o.kind for o in found)["LOG_SOFTMAX"] == 2


def test_the_program_is_asked_for_the_table_only_in_a_launch_of_the_profile() -> None:
    flag = "--enable_op_profiling=true"
    assert flag not in LITERT.arguments(JOB)
    assert flag in LITERT.arguments(replace(JOB, operators=True))
    text = WHOLE + PRINTED
    assert read_output(LITERT, ToolOutput(exit_code=0, text=text), JOB).operators == ()
    profiled = read_output(LITERT, ToolOutput(exit_code=0, text=text), replace(JOB, operators=True))
    assert len(profiled.operators) == 3
    assert [tool.profiles for tool in (LITERT, TOOLS[Format.PTE])] == [True, False]
