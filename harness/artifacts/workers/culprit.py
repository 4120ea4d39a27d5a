"""Where a converter failed: which tool, on which operator, and at which line of the user's code.

Converters say this in many forms: in the text of the error, in the graph that they were walking, or not at all, but the
error passed through the user's own code.
"""

from __future__ import annotations

import linecache
import re
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import harness
from harness.errors import causes_of

# What the folders of packages are called for users, the most specific first.
_TOOLS = (
    ("onnxruntime/quantization", "ONNX Runtime's quantiser"),
    ("ai_edge_quantizer", "AI Edge Quantizer"),
    ("torch/ao/quantization", "torch.ao's quantiser"),
    ("torchao", "torchao's quantiser"),
    ("executorch/backends/xnnpack/quantizer", "XNNPACK's quantiser"),
    ("litert_torch", "LiteRT Torch"),
    ("executorch", "ExecuTorch"),
    ("coremltools", "Core ML Tools"),
    ("torch/onnx", "torch's ONNX exporter"),
    ("onnxscript", "torch's ONNX exporter"),
    ("onnxruntime", "ONNX Runtime"),
    ("tensorflow", "TensorFlow's converter"),
    ("torch/jit", "TorchScript"),
    ("torch/export", "torch.export"),
    ("torch/_export", "torch.export"),
    ("torch/_dynamo", "torch.export"),
)
_QUANTISERS = frozenset(name for _, name in _TOOLS if "quantis" in name.lower() or "Quantizer" in name)

# Packages whose files are networks: where the user has no line of their own, theirs tells what is meant.
_NETWORKS = frozenset(
    {"torchvision", "timm", "transformers", "torchaudio", "ultralytics", "segmentation_models_pytorch"}
)
_STANDARD = tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))

_TRACER = "/torch/fx/_symbolic_trace.py"
# What a quantiser of ONNX graphs adds around the operators of the network.
_WRAPPERS = ("QuantizeLinear", "DequantizeLinear")

_OPERATOR = re.compile(r"\b(?:aten|prims|quantized|torchvision|mhlo|stablehlo|tfl)(?:\.|::)\w+")
_LOCATION = re.compile(r'File "([^"]+)", line (\d+)')
# How MLIR writes a place.
_MLIR_LOCATION = re.compile(r"(/[^\s:]+\.py):(\d+)")
# How many containers of one frame are searched for graphs, and how deep: a converter keeps its program at hand.
_MOST_ITEMS = 50
# A transposed convolution of many layers fails in the first; further names would not help.
_MOST_LAYERS = 3

Place = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Culprit:
    """Where an export failed; every part is empty if it is not known.

    ``tool`` is the converter or quantiser. ``line`` is a place in the user's code, such as ``net.py:14``, and ``code``
    its text. ``layer`` names the layers of the network that may be meant. ``text`` is everything the errors say.
    ``traced``: the network was being traced with placeholders instead of tensors.
    """

    tool: str = ""
    operator: str = ""
    line: str = ""
    code: str = ""
    layer: str = ""
    text: str = ""
    traced: bool = False

    @property
    def quantises(self) -> bool:
        """Whether it was a quantiser that failed."""
        return self.tool in _QUANTISERS


def find_culprit(error: BaseException) -> Culprit:
    """Look for the tool, the operator and the line in ``error``, its causes, and the frames they passed through."""
    links = list(causes_of(error))
    text = "\n".join(map(str, links))
    frames = [frame for link in links for frame in _frames(link)]
    operator = _operator(text) or _onnx_operator(frames)
    nodes = _nodes_of(operator, text, frames)
    traces = [str(node.meta.get("stack_trace") or "") for node in nodes[:1]]
    passed = [(frame.f_code.co_filename, line) for frame, line in frames]
    place = _users(_places(text)) or _users(_places("\n".join(traces))) or _users(_below_tool(passed))
    return Culprit(
        tool=_tool(passed),
        operator=operator,
        line=f"{Path(place[0]).name}:{place[1]}" if place else "",
        code=linecache.getline(*place).strip() if place else "",
        layer=_layers(nodes),
        text=text,
        traced=any(path.endswith(_TRACER) for path, _ in passed),
    )


def _frames(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    """The frames that the error passed through with their lines, the outermost first."""
    step = error.__traceback__
    while step is not None:
        yield step.tb_frame, step.tb_lineno
        step = step.tb_next


def _tool(passed: list[Place]) -> str:
    """The innermost tool that the error passed through."""
    for path, _ in reversed(passed):
        name = next((name for folder, name in _TOOLS if f"/site-packages/{folder}/" in Path(path).as_posix()), None)
        if name is not None:
            return name
    return ""


def _below_tool(passed: list[Place]) -> list[Place]:
    """The frames that a tool called, such as those of ``forward``, but not those that called the tool."""
    first = next((i for i, (path, _) in enumerate(passed) if "/site-packages/" in Path(path).as_posix()), len(passed))
    return passed[first:]


def _operator(text: str) -> str:
    match = _OPERATOR.search(text)
    return match[0].replace("::", ".") if match else ""


def _onnx_operator(frames: list[tuple[FrameType, int]]) -> str:
    """The type of the ONNX node that was worked on; ONNX Runtime's quantisers do not say it in their errors."""
    for frame, _ in reversed(frames):
        if "/onnxruntime/" not in frame.f_code.co_filename:
            continue
        for value in list(frame.f_locals.values()):
            kind = getattr(value, "op_type", None)
            if isinstance(kind, str) and kind and kind not in _WRAPPERS:
                return kind
    return ""


def _places(text: str) -> list[Place]:
    return [(path, int(line)) for path, line in _LOCATION.findall(text)]


def _users(places: Sequence[Place]) -> Place | None:
    """The last place in the user's own files, else the last in a package of networks, such as torchvision."""
    own = [place for place in places if _is_own(place[0])]
    theirs = [place for place in places if _is_package_of_networks(place[0])]
    return own[-1] if own else theirs[-1] if theirs else None


def _is_own(path: str) -> bool:
    file = Path(path)
    outside = (*_STANDARD, Path(harness.__file__).parent)
    return file.is_file() and "site-packages" not in file.parts and not any(file.is_relative_to(f) for f in outside)


def _is_package_of_networks(path: str) -> bool:
    package = Path(path).as_posix().rpartition("/site-packages/")[2].partition("/")[0]
    return "/site-packages/" in Path(path).as_posix() and package in _NETWORKS


def _nodes_of(operator: str, text: str, frames: list[tuple[FrameType, int]]) -> list[Any]:
    """The nodes of the graphs at hand that the operator comes from, by its name, or by the place that MLIR gives."""
    nodes = [node for frame, _ in reversed(frames) for node in _nodes_in(frame)]
    name = operator.partition(".")[2]
    if operator.startswith("aten."):
        return [node for node in nodes if f"aten.{name}" in str(node.target)]
    marks = [f'"{path}", line {line},' for path, line in _MLIR_LOCATION.findall(text)]
    there = [node for node in nodes if any(mark in str(node.meta.get("stack_trace") or "") for mark in marks)]
    # Layers of one class share the place; the text also has the shape of the kernel.
    return [node for node in there if _has_kernel_of(node, text)] or there


def _has_kernel_of(node: Any, text: str) -> bool:
    """Whether the height and width of a convolution's kernel are in a type of MLIR, such as ``tensor<8x1x5x8xf32>``."""
    weight = node.args[1] if len(node.args) > 1 else None
    shape = getattr(getattr(weight, "meta", {}).get("val"), "shape", ())
    return len(shape) > 2 and "x".join(map(str, shape[2:])) in re.sub(r"[^\dx<>]", "", text)


def _nodes_in(frame: FrameType) -> Iterator[Any]:
    """The nodes of the graphs among the local variables of a frame."""
    for value in list(frame.f_locals.values()):
        for item in _items(value):
            kinds = {kind.__name__ for kind in type(item).__mro__}
            if "ExportedProgram" in kinds or "GraphModule" in kinds:
                yield from item.graph.nodes
            elif "Node" in kinds and hasattr(item, "meta") and hasattr(item, "target"):
                yield item


def _items(value: Any) -> Iterator[Any]:
    """The value, and what it contains if it is a list or the like."""
    yield value
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        yield from value[:_MOST_ITEMS]


def _layers(nodes: list[Any]) -> str:
    """The layers that nodes belong to, such as ``head.3 (ConvTranspose2d)``; empty without any."""
    names = list(dict.fromkeys(name for node in nodes if (name := _layer(node))))
    return "" if len(names) > _MOST_LAYERS else " or ".join(names)


def _layer(node: Any) -> str:
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    if not stack:
        return ""
    path, kind = stack[-1]
    name = getattr(kind, "__name__", str(kind)).rpartition(".")[2]
    # The path of the network itself is empty, or names its variable in the converter's code.
    short = re.sub(r"^L\['self'\]\.?|^self\.?", "", str(path)).replace("'", "")
    return f"{short} ({name})" if short else ""
