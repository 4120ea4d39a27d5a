"""The benchmark programs that run in the phone's shell: one file and one line in a table per program."""

from __future__ import annotations

from harness.devices.android.shell.tools.benchmark_model import BenchmarkModel
from harness.devices.android.shell.tools.executor_runner import ExecutorRunner
from harness.devices.android.shell.tools.litert_lm_main import LitertLmMain
from harness.devices.android.shell.tools.llama_bench import LlamaBench
from harness.devices.android.shell.tools.llama_main import LlamaMain
from harness.devices.android.shell.tools.tool import ShellTool
from harness.wire import Format, RunRequest

TOOLS: dict[Format, ShellTool] = {
    Format.TFLITE: BenchmarkModel(),
    Format.PTE: ExecutorRunner(),
    Format.LITERTLM: LitertLmMain(),
    Format.GGUF: LlamaBench(),
}

# Where language models have a program of their own.
LANGUAGE_TOOLS: dict[Format, ShellTool] = {
    Format.PTE: LlamaMain(),
}


def tool_for(request: RunRequest) -> ShellTool:
    """Return the program that runs ``request``."""
    format_ = request.artifact.format
    return (LANGUAGE_TOOLS.get(format_) if request.passes.generate is not None else None) or TOOLS[format_]
