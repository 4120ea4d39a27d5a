"""The loop that anybody would write: load a file, run it on one input, print the median call in ns.

``python bare.py FORMAT FILE SECONDS INPUT.npy``; what the harness reports is held against this.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def tflite(path: str, data: Floats) -> Callable[[], object]:
    """LiteRT with its default delegate."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]
    scale, zero = entry["quantization"]
    ready = data if entry["dtype"] == np.float32 else np.clip(np.round(data / scale) + zero, -128, 127)
    interpreter.set_tensor(entry["index"], ready.astype(entry["dtype"]))
    call: Callable[[], object] = interpreter.invoke
    return call


def onnx(path: str, data: Floats) -> Callable[[], object]:
    """ONNX Runtime on the CPU, inputs and outputs bound."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_cpu_input(session.get_inputs()[0].name, data)
    for output in session.get_outputs():
        binding.bind_output(output.name)
    return lambda: session.run_with_iobinding(binding)


def pte(path: str, data: Floats) -> Callable[[], object]:
    """ExecuTorch through its Python bindings."""
    import torch
    from executorch.extension.pybindings import portable_lib

    portable_lib._unsafe_reset_threadpool(1)
    module = portable_lib._load_for_executorch(path)
    inputs = [torch.from_numpy(data)]
    return lambda: module.forward(inputs, clone_outputs=False)


def ptl(path: str, data: Floats) -> Callable[[], object]:
    """The TorchScript lite interpreter."""
    import torch
    from torch.jit.mobile import _load_for_lite_interpreter

    torch.set_num_threads(1)
    torch.backends.quantized.engine = "qnnpack"
    module = _load_for_lite_interpreter(path)
    tensor = torch.from_numpy(data)

    def call() -> object:
        with torch.inference_mode():
            return module(tensor)

    return call


LOADERS: dict[str, Callable[[str, Floats], Callable[[], object]]] = {
    "tflite": tflite,
    "onnx": onnx,
    "pte": pte,
    "ptl": ptl,
}


def main() -> None:
    """Warm up for half a second, measure for so many seconds, print."""
    format_, path, seconds, inputs = sys.argv[1:]
    call = LOADERS[format_](path, np.load(inputs))
    clock = time.perf_counter_ns
    end = clock() + 500_000_000
    while clock() < end:
        call()
    samples: list[int] = []
    end = clock() + int(float(seconds) * 1e9)
    while clock() < end:
        before = clock()
        call()
        samples.append(clock() - before)
    print(median(samples))


if __name__ == "__main__":
    main()
