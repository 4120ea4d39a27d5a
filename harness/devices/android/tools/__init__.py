"""Benchmark programs of the runtimes, which run from the phone's shell: one file each, and one line in `TOOLS`."""

from __future__ import annotations

from harness.devices.android.tools.benchmark_model import BenchmarkModel
from harness.devices.android.tools.executor_runner import ExecutorRunner
from harness.devices.android.tools.tool import ShellTool, Told, ToolJob
from harness.wire import Format

__all__ = ["TOOLS", "ShellTool", "Told", "ToolJob"]

TOOLS: dict[Format, ShellTool] = {Format.TFLITE: BenchmarkModel(), Format.PTE: ExecutorRunner()}
