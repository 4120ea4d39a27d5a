"""One row per artifact format, and one per backend of ExecuTorch: everything about them that is plain data.

The code of a format is elsewhere: its exporter in `harness.artifacts.export.registry` and, if it runs on this kind of
computer, its runtime in `harness.runners.host.runtimes.registry`. Everything else about a format is read from its row,
so nothing outside this file needs to know which formats exist.

The table is in ``spec/`` because a spec's default formats and the Android driver need it, and both come before the
plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from harness.spec.recipe import Precision
from harness.wire import Delegate, Format


class Backend(StrEnum):
    """What a ``.pte`` is lowered to at export."""

    XNNPACK = "xnnpack"
    PORTABLE = "portable"
    VULKAN = "vulkan"
    COREML = "coreml"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendRow:
    """One backend.

    ``packages`` and ``extras`` are what lowering needs in addition to the format's own. ``runs_here``: its kernels run
    on this kind of computer, so the artifact can be verified by running it. ``name_in_file`` is what a program calls
    the backend, for files that can only be inspected. ``holes`` are the precisions that cannot be built, each with its
    reason; ``no_float16_io`` is the reason against float16 inputs and outputs.
    """

    packages: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    runs_here: bool = False
    name_in_file: str = ""
    holes: Mapping[Precision, str] = field(default_factory=dict)
    no_float16_io: str | None = None


_PACKED_WEIGHTS = "ExecuTorch's portable kernels cannot read torchao's packed weights"
_COREML_FLOATS = "Core ML computes in float32 or float16"
_COREML_STATIC = "Core ML cannot compute activation ranges at run time"
_WEIGHTS_ELSEWHERE = "weight-only compression for Core ML is built as mlpackage, not as pte"

BACKENDS: dict[Backend, BackendRow] = {
    Backend.XNNPACK: BackendRow(
        runs_here=True,
        holes={
            Precision.INT8_WEIGHT: "XNNPACK has no weight-only int8: the exported file gives garbage",
            Precision.BF16: "XNNPACK has no bfloat16 operators; use delegate cpu",
        },
    ),
    Backend.PORTABLE: BackendRow(
        runs_here=True,
        holes={Precision.INT8_WEIGHT: _PACKED_WEIGHTS, Precision.INT4_WEIGHT: _PACKED_WEIGHTS},
    ),
    Backend.VULKAN: BackendRow(
        name_in_file="VulkanBackend",
        holes={
            Precision.BF16: "ExecuTorch's Vulkan backend computes in float32 or float16",
            Precision.INT4_WEIGHT: "phonebench does not build int4 weights for Vulkan",
        },
        no_float16_io="the vulkan delegate converts to float16 itself: inputs and outputs stay float32, as for fp16",
    ),
    Backend.COREML: BackendRow(
        packages=("coremltools",),
        extras=("torch", "coreml"),
        name_in_file="CoreMLBackend",
        holes={
            Precision.BF16: _COREML_FLOATS,
            Precision.INT8_DYNAMIC: _COREML_STATIC,
            Precision.INT8_WEIGHT: _WEIGHTS_ELSEWHERE,
            Precision.INT4_WEIGHT: _WEIGHTS_ELSEWHERE,
        },
        no_float16_io="the coreml delegate converts to float16 itself: inputs and outputs stay float32, as for fp16",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageRow:
    """What a format builds of a language model; the fields mean the same as in `FormatRow`.

    ``precisions``: those that can be built. ``is_default``: a run builds it when the user names no format.
    ``takes_text``: the runtime's own runner on phones takes a text, and a tokenizer beside the file.
    """

    precisions: tuple[Precision, ...]
    packages: tuple[str, ...]
    extras: tuple[str, ...]
    runtime_packages: tuple[str, ...]
    runtime_extras: tuple[str, ...]
    revision: int
    is_default: bool = False
    takes_text: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatRow:
    """One format.

    What it runs on:

    - ``delegates``: the usual one first.
    - ``backends``: for each delegate the backend that a file for it is lowered to; empty for formats whose files do
      not depend on the delegate.
    - ``runs_here``: there is a runtime for this kind of computer, so artifacts are verified by running them.
    - ``android_runtime``: the runner app that runs it, None if no app does.
    - ``shell_program``: the runtime's own benchmark program for the shell runner, None if there is none.
      ``other_program``: a second name that it goes by, or that of the program for language models.

    How it is made:

    - ``packages``: the distributions whose code decides what is in a file. Their versions are part of its identity.
    - ``runtime_packages``: the distributions that run a ready-made file.
    - ``extras``, ``runtime_extras``: the extras of phonebench that install the one and the other.
    - ``doctor``: lines for ``phonebench doctor``: the extra, the distribution, and what it is for.
    - ``revision``: raise it when the exporter writes different bytes for the same input.
    - ``export_seconds``: about how long one artifact of a mobile-sized network takes. Only the proportions matter:
      workers start with the longest.
    - ``warm_imports``: the slow modules that a worker imports while it waits for its first task.
    - ``exports_independently``: the variants of a network share no conversion, so a second worker may take some.
    - ``file_name``: the file in an artifact's folder; ``model.`` and the format's name if empty.

    What it takes:

    - ``is_default``, ``is_searched``: a run builds it, and a search tries it, when the user names no format.
    - ``from_keras``, ``channel_last_option``: made from Keras models too; offers channel-last inputs.
    - ``holes``: the precisions that cannot be built, each with its reason.
    - ``no_float16_io``: the reason against float16 inputs and outputs, None where they work.
    - ``not_supported``: why phonebench neither builds nor runs it, None if it does one or both.

    - ``language``: how it holds language models, None if it does not.
    - ``only_language``: it holds nothing else.

    ``colour`` is that of its marks in the charts.
    """

    delegates: tuple[Delegate, ...]
    backends: Mapping[Delegate, Backend] = field(default_factory=dict)
    runs_here: bool = True
    android_runtime: str | None = None
    shell_program: str | None = None
    other_program: str | None = None
    packages: tuple[str, ...]
    extras: tuple[str, ...]
    runtime_packages: tuple[str, ...]
    runtime_extras: tuple[str, ...]
    doctor: tuple[tuple[str, str, str], ...] = ()
    revision: int
    export_seconds: float
    warm_imports: tuple[str, ...] = ()
    exports_independently: bool = False
    file_name: str = ""
    is_default: bool = True
    is_searched: bool = True
    from_keras: bool = False
    channel_last_option: bool = False
    holes: Mapping[Precision, str] = field(default_factory=dict)
    no_float16_io: str | None = None
    not_supported: str | None = None
    language: LanguageRow | None = None
    only_language: bool = False
    colour: str


_FOR_LANGUAGE = "phonebench builds 8da4w for language models only"
_TRANSFORMERS = ("torch", "transformers")
_LITERTLM = ("litert-torch", "litert-converter", "litert-lm-builder", "ai-edge-quantizer")
_NO_WEIGHT_ONLY = "TorchScript's lite interpreter has no weight-only kernels"

# The order is the one in which a run builds formats and a report lists them. The colours are those of Okabe and Ito
# (2008), which stay apart with every common kind of colour blindness.
FORMATS: dict[Format, FormatRow] = {
    Format.PTE: FormatRow(
        delegates=(Delegate.XNNPACK, Delegate.CPU, Delegate.GPU, Delegate.COREML),
        backends={
            Delegate.XNNPACK: Backend.XNNPACK,
            Delegate.CPU: Backend.PORTABLE,
            Delegate.GPU: Backend.VULKAN,
            Delegate.COREML: Backend.COREML,
        },
        android_runtime="executorch",
        shell_program="executor_runner",
        other_program="llama_main",
        packages=("torch", "executorch", "torchao"),
        extras=("torch",),
        runtime_packages=("executorch",),
        runtime_extras=("torch",),
        doctor=(
            ("torch", "torch", "models, .ptl"),
            ("torch", "executorch", "build and run .pte"),
            ("torch", "torchao", "quantise .pte"),
        ),
        revision=7,
        export_seconds=20,
        warm_imports=("executorch.exir", "executorch.backends.xnnpack.partition.xnnpack_partitioner"),
        # Lowering is nearly all of the work, and each precision is lowered from scratch.
        exports_independently=True,
        holes={
            Precision.INT16X8: "ExecuTorch has no quantiser for int16 activations with int8 weights",
            Precision.INT8_DYNAMIC_INT4: _FOR_LANGUAGE,
        },
        language=LanguageRow(
            precisions=(Precision.FP32, Precision.INT8_DYNAMIC_INT4),
            packages=("executorch", "torchao", *_TRANSFORMERS),
            extras=("torch", "language"),
            runtime_packages=("executorch",),
            runtime_extras=("torch",),
            revision=2,
            is_default=True,
            takes_text=True,
        ),
        colour="#0072b2",
    ),
    Format.TFLITE: FormatRow(
        delegates=(Delegate.XNNPACK, Delegate.CPU, Delegate.GPU, Delegate.NNAPI, Delegate.COREML),
        android_runtime="tflite",
        shell_program="benchmark_model",
        packages=("torch", "litert-torch", "litert-converter", "ai-edge-litert", "ai-edge-quantizer"),
        extras=("tflite-export",),
        runtime_packages=("ai-edge-litert",),
        runtime_extras=("tflite",),
        doctor=(
            ("tflite", "ai-edge-litert", "run .tflite"),
            ("tflite-export", "litert-torch", "build .tflite"),
            ("tflite-export", "ai-edge-quantizer", "quantise .tflite"),
        ),
        revision=5,
        export_seconds=5,
        warm_imports=("litert_torch", "ai_edge_quantizer"),
        from_keras=True,
        channel_last_option=True,
        holes={Precision.BF16: "LiteRT's kernels have no bfloat16", Precision.INT8_DYNAMIC_INT4: _FOR_LANGUAGE},
        no_float16_io="LiteRT computes in float32 where weights are float16: inputs and outputs cannot be float16",
        colour="#e69f00",
    ),
    Format.ONNX: FormatRow(
        delegates=(Delegate.CPU, Delegate.XNNPACK, Delegate.NNAPI, Delegate.COREML, Delegate.QNN),
        android_runtime="onnxruntime",
        packages=("torch", "onnx", "onnxscript", "onnxruntime"),
        extras=("onnx-export",),
        runtime_packages=("onnxruntime",),
        runtime_extras=("onnx",),
        doctor=(
            ("onnx", "onnxruntime", "run and quantise .onnx"),
            ("onnx-export", "onnx", "build .onnx"),
            ("onnx-export", "onnxscript", "build .onnx"),
        ),
        revision=6,
        export_seconds=3,
        warm_imports=("torch.onnx", "onnxscript", "onnxruntime.quantization"),
        holes={
            Precision.BF16: "ONNX Runtime's CPU kernels have no bfloat16 convolutions or matrix products",
            Precision.INT16X8: "ONNX Runtime's CPU kernels have no int16 activations with int8 weights",
            Precision.INT8_DYNAMIC_INT4: _FOR_LANGUAGE,
        },
        colour="#009e73",
    ),
    Format.PTL: FormatRow(
        delegates=(Delegate.CPU,),
        # PyTorch no longer develops TorchScript, so there is no point in recommending it.
        is_searched=False,
        android_runtime="pytorch",
        packages=("torch",),
        extras=("torch",),
        runtime_packages=("torch",),
        runtime_extras=("torch",),
        revision=9,
        export_seconds=1,
        warm_imports=("torch.ao.quantization.quantize_fx",),
        holes={
            Precision.INT16X8: "TorchScript has no int16 kernels",
            Precision.INT8_WEIGHT: _NO_WEIGHT_ONLY,
            Precision.INT4_WEIGHT: _NO_WEIGHT_ONLY,
            Precision.INT8_DYNAMIC_INT4: _FOR_LANGUAGE,
        },
        colour="#cc79a7",
    ),
    Format.MLPACKAGE: FormatRow(
        delegates=(Delegate.COREML,),
        # Core ML runs on Apple's systems only.
        runs_here=False,
        is_default=False,
        is_searched=False,
        # Static int8 uses ExecuTorch's quantiser, which is in the last two packages.
        packages=("torch", "coremltools", "executorch", "torchao"),
        extras=("torch", "coreml"),
        runtime_packages=("coremltools",),
        runtime_extras=("coreml",),
        doctor=(("coreml", "coremltools", "build .mlpackage, and .pte for Core ML"),),
        revision=2,
        export_seconds=2,
        # An .mlpackage is a folder; it travels as one zip.
        file_name="model.mlpackage.zip",
        holes={
            Precision.BF16: _COREML_FLOATS,
            Precision.INT8_DYNAMIC: _COREML_STATIC,
            Precision.INT16X8: "Core ML has no int16 activations",
            Precision.INT8_DYNAMIC_INT4: _FOR_LANGUAGE,
        },
        colour="#56b4e9",
    ),
    # A folder of ONNX Runtime's generate API; the file to load is its configuration, which names the others.
    Format.GENAI: FormatRow(
        delegates=(Delegate.CPU,),
        is_default=False,
        is_searched=False,
        packages=("onnxruntime-genai", "onnx-ir", *_TRANSFORMERS),
        extras=("genai", "language"),
        runtime_packages=("onnxruntime-genai",),
        runtime_extras=("genai",),
        doctor=(("genai", "onnxruntime-genai", "build and run language models of ONNX Runtime"),),
        revision=1,
        export_seconds=20,
        file_name="genai_config.json",
        language=LanguageRow(
            precisions=(Precision.FP32, Precision.INT4_WEIGHT),
            packages=("onnxruntime-genai", "onnx-ir", *_TRANSFORMERS),
            extras=("genai", "language"),
            runtime_packages=("onnxruntime-genai",),
            runtime_extras=("genai",),
            revision=1,
            is_default=True,
        ),
        only_language=True,
        colour="#009e73",
    ),
    Format.LITERTLM: FormatRow(
        delegates=(Delegate.CPU,),
        is_default=False,
        is_searched=False,
        shell_program="litert_lm_main",
        other_program="litert_lm_advanced_main",
        packages=(*_LITERTLM, *_TRANSFORMERS),
        extras=("litertlm", "tflite-export", "language"),
        runtime_packages=("litert-lm-api",),
        runtime_extras=("litertlm",),
        doctor=(("litertlm", "litert-lm-api", "run .litertlm"),),
        revision=1,
        export_seconds=30,
        language=LanguageRow(
            precisions=(
                Precision.FP32,
                Precision.INT8_DYNAMIC,
                Precision.INT8_WEIGHT,
                Precision.INT4_WEIGHT,
                Precision.INT8_DYNAMIC_INT4,
            ),
            packages=(*_LITERTLM, *_TRANSFORMERS),
            extras=("litertlm", "tflite-export", "language"),
            runtime_packages=("litert-lm-api",),
            runtime_extras=("litertlm",),
            revision=1,
        ),
        only_language=True,
        colour="#e69f00",
    ),
    Format.GGUF: FormatRow(
        delegates=(Delegate.CPU,),
        is_default=False,
        is_searched=False,
        shell_program="llama-bench",
        packages=("gguf", *_TRANSFORMERS),
        extras=("gguf", "language"),
        runtime_packages=("xllamacpp",),
        runtime_extras=("gguf",),
        doctor=(("gguf", "gguf", "build .gguf"), ("gguf", "xllamacpp", "run .gguf")),
        revision=1,
        export_seconds=2,
        language=LanguageRow(
            precisions=(Precision.FP32, Precision.FP16, Precision.INT8_WEIGHT, Precision.INT4_WEIGHT),
            packages=("gguf", *_TRANSFORMERS),
            extras=("gguf", "language"),
            runtime_packages=("xllamacpp",),
            runtime_extras=("gguf",),
            revision=2,
        ),
        only_language=True,
        colour="#d55e00",
    ),
    # The files of imported results that are in no format of ours. Nothing builds or runs them.
    Format.OTHER: FormatRow(
        delegates=(),
        runs_here=False,
        is_default=False,
        is_searched=False,
        packages=(),
        extras=(),
        runtime_packages=(),
        runtime_extras=(),
        revision=1,
        export_seconds=0,
        not_supported="phonebench neither builds nor runs formats of other programs",
        colour="#7f7f7f",
    ),
}


def own_formats() -> dict[Format, FormatRow]:
    """Return the formats that phonebench builds or runs, with their rows."""
    return {format_: row for format_, row in FORMATS.items() if row.not_supported is None}


def default_formats() -> tuple[Format, ...]:
    """Return the formats that a run builds when the user names none."""
    return tuple(format_ for format_, row in FORMATS.items() if row.is_default)


def language_formats() -> tuple[Format, ...]:
    """Return the formats that a run builds of a language model when the user names none."""
    return tuple(format_ for format_, row in FORMATS.items() if row.language is not None and row.language.is_default)


def searched_formats() -> tuple[Format, ...]:
    """Return the formats that a search tries when the user names none."""
    return tuple(format_ for format_, row in FORMATS.items() if row.is_searched)


def longest_first() -> tuple[Format, ...]:
    """Return all formats, the ones that take longest to export first."""
    return tuple(sorted(FORMATS, key=lambda format_: FORMATS[format_].export_seconds, reverse=True))


def artifact_file(format_: Format) -> str:
    """Return the name of an artifact's file, in its folder and in a job."""
    return FORMATS[format_].file_name or f"model.{format_.value}"


def delegate_of(format_: Format, backend: Backend | None) -> Delegate:
    """Return the delegate that runs a file lowered to ``backend``; the format's usual one where that is None."""
    row = FORMATS[format_]
    return next((d for d, lowered_to in row.backends.items() if lowered_to is backend), row.delegates[0])


def runs_here(format_: Format, backend: Backend | None) -> bool:
    """Return whether this kind of computer has a runtime for the artifact, so that it can be verified by running it."""
    return FORMATS[format_].runs_here and (backend is None or BACKENDS[backend].runs_here)


def packages_to_build(format_: Format, backend: Backend | None) -> tuple[str, ...]:
    """Return the distributions whose code decides what is in a file of ``format_`` lowered to ``backend``."""
    return FORMATS[format_].packages + (BACKENDS[backend].packages if backend else ())
