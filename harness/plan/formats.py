"""The formats of artifacts: delegates, packages, file names and revisions."""

from __future__ import annotations

from harness.plan.support import Backend
from harness.wire import Delegate, Format

# The delegates of each format, the usual one first. A .pte fixes its backend at export.
DELEGATES: dict[Format, tuple[Delegate, ...]] = {
    Format.PTE: (Delegate.XNNPACK, Delegate.CPU, Delegate.GPU, Delegate.COREML),
    Format.TFLITE: (Delegate.XNNPACK, Delegate.CPU, Delegate.GPU, Delegate.NNAPI, Delegate.COREML),
    Format.ONNX: (Delegate.CPU, Delegate.XNNPACK, Delegate.NNAPI, Delegate.COREML),
    Format.PTL: (Delegate.CPU,),
    Format.MLPACKAGE: (Delegate.COREML,),
}

PTE_BACKENDS: dict[Delegate, Backend] = {
    Delegate.XNNPACK: Backend.XNNPACK,
    Delegate.CPU: Backend.PORTABLE,
    Delegate.GPU: Backend.VULKAN,
    Delegate.COREML: Backend.COREML,
}


# Packages whose code decides what is in a file: their versions are part of its identity.
PACKAGES: dict[Format, tuple[str, ...]] = {
    Format.PTE: ("torch", "executorch", "torchao"),
    Format.TFLITE: ("torch", "litert-torch", "litert-converter", "ai-edge-litert", "ai-edge-quantizer"),
    Format.ONNX: ("torch", "onnx", "onnxscript", "onnxruntime"),
    Format.PTL: ("torch",),
    # The last two hold the quantiser that static int8 is made with.
    Format.MLPACKAGE: ("torch", "coremltools", "executorch", "torchao"),
}

# What lowering to a backend takes beside the packages of ``.pte``.
BACKEND_PACKAGES: dict[Backend, tuple[str, ...]] = {Backend.COREML: ("coremltools",)}

# The one package has two distributions; either will do.
TENSORFLOWS = ("tensorflow-cpu", "tensorflow")
# What making a ``.tflite`` of a Keras model takes beside TensorFlow.
KERAS_PACKAGES = ("ai-edge-litert",)


# The extra of phonebench that installs what exporting a format needs.
EXTRAS: dict[Format, str] = {
    Format.PTE: "torch",
    Format.TFLITE: "tflite-export",
    Format.ONNX: "onnx-export",
    Format.PTL: "torch",
    Format.MLPACKAGE: "torch,coreml",
}
BACKEND_EXTRAS: dict[Backend, str] = {Backend.COREML: "torch,coreml"}
KERAS_EXTRA = "tflite,tensorflow"

# The name of the file in an artifact's folder, where it is not ``model.`` and the format.
FILE_NAMES: dict[Format, str] = {Format.MLPACKAGE: "model.mlpackage.zip"}

# Packages that can run a ready-made file of a format.
RUNTIME_PACKAGES: dict[Format, tuple[str, ...]] = {
    Format.PTE: ("executorch",),
    Format.TFLITE: ("ai-edge-litert",),
    Format.ONNX: ("onnxruntime",),
    Format.PTL: ("torch",),
    Format.MLPACKAGE: ("coremltools",),
}

# The extra that installs them, without PyTorch where the runtime does not need it.
RUNTIME_EXTRAS: dict[Format, str] = {
    Format.PTE: "torch",
    Format.TFLITE: "tflite",
    Format.ONNX: "onnx",
    Format.PTL: "torch",
    Format.MLPACKAGE: "coreml",
}


# Counts the changes of an exporter that change the bytes it makes.
EXPORTER_REVISIONS: dict[Format, int] = {
    Format.PTE: 3,
    Format.TFLITE: 3,
    Format.ONNX: 3,
    Format.PTL: 3,
    Format.MLPACKAGE: 1,
}


def artifact_file(format_: Format) -> str:
    """Return the name that an artifact's file has in its folder, and in a job."""
    return FILE_NAMES.get(format_, f"model.{format_.value}")


# About what one artifact of a mobile-sized network takes; only the proportions matter.
EXPORT_SECONDS: dict[Format, float] = {
    Format.PTE: 20,
    Format.TFLITE: 5,
    Format.ONNX: 3,
    Format.MLPACKAGE: 2,
    Format.PTL: 1,
}
LONGEST_FIRST = tuple(sorted(EXPORT_SECONDS, key=EXPORT_SECONDS.__getitem__, reverse=True))
