"""The benchmark programs that run in the phone's shell: one file and one line in `TOOLS` per program."""

from __future__ import annotations

from harness.devices.android.shell.tools.benchmark_model import BenchmarkModel
from harness.devices.android.shell.tools.executor_runner import ExecutorRunner
from harness.devices.android.shell.tools.litert_lm_main import LitertLmMain
from harness.devices.android.shell.tools.llama_bench import LlamaBench
from harness.devices.android.shell.tools.tool import ShellTool
from harness.wire import Format

TOOLS: dict[Format, ShellTool] = {
    Format.TFLITE: BenchmarkModel(),
    Format.PTE: ExecutorRunner(),
    Format.LITERTLM: LitertLmMain(),
    Format.GGUF: LlamaBench(),
}
