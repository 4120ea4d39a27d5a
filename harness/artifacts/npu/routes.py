"""The ways to a file for a neural processor: one row each, with whether it is open on this computer, and why not."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness.artifacts.npu.qnn import why_no_qnn
from harness.artifacts.npu.sdk import SDK_VARIABLE, why_no_sdk
from harness.wire import Format


class RouteState(StrEnum):
    """Whether a way is open."""

    BUILDS = "builds"
    NOT_BUILT = "not built"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class NpuRoute:
    """One way: the format, whose processor it is for, and its state with the reason or the next step."""

    format: Format
    maker: str
    state: RouteState
    detail: str


# The compiler plug-ins in the package ai-edge-litert, by the folder that each is in, with the package of their SDK.
_LITERT_MAKERS = {
    "qualcomm": ("Qualcomm", "ai_edge_litert_sdk_qualcomm"),
    "mediatek": ("MediaTek", "ai_edge_litert_sdk_mediatek"),
    "google_tensor": ("Google Tensor", "ai_edge_litert_sdk_google_tensor"),
    "samsung": ("Samsung", "ai_edge_litert_sdk_samsung"),
    "intel_openvino": ("Intel", "ai_edge_litert_sdk_intel"),
}
_NOT_YET = "phonebench does not build it yet"


def npu_routes(environment: Mapping[str, str]) -> tuple[NpuRoute, ...]:
    """Return every way; ``environment`` holds the variables that name the user's SDKs."""
    return (_onnx(), _executorch(environment.get(SDK_VARIABLE, "")), *_litert())


def _onnx() -> NpuRoute:
    reason = why_no_qnn()
    detail = reason or "phonebench npu compiles an int8 .onnx and checks it in the simulator"
    state = RouteState.MISSING if reason else RouteState.BUILDS
    return NpuRoute(format=Format.ONNX, maker="Qualcomm", state=state, detail=detail)


def _executorch(sdk: str) -> NpuRoute:
    backend = _folder_of("executorch") / "backends/qualcomm"
    if not backend.is_dir():
        state, detail = RouteState.MISSING, "the installed executorch has no backend for it"
    elif reason := why_no_sdk(sdk):
        state, detail = RouteState.MISSING, reason
    else:
        state, detail = RouteState.NOT_BUILT, f"the SDK is at {sdk!r}; {_NOT_YET}"
    return NpuRoute(format=Format.PTE, maker="Qualcomm", state=state, detail=detail)


def _litert() -> list[NpuRoute]:
    vendors = _folder_of("ai_edge_litert") / "vendors"
    routes = []
    for folder, (maker, package) in _LITERT_MAKERS.items():
        if not any((vendors / folder / "compiler").glob("libLiteRtCompilerPlugin*")):
            state, detail = RouteState.MISSING, "the installed ai-edge-litert has no compiler plug-in for it"
        elif importlib.util.find_spec(package) is None:
            distribution = package.replace("_", "-")
            detail = f"the plug-in is there and the maker's SDK is not: install its package {distribution}"
            state = RouteState.MISSING
        else:
            state, detail = RouteState.NOT_BUILT, f"plug-in and SDK are there; {_NOT_YET}"
        routes.append(NpuRoute(format=Format.TFLITE, maker=maker, state=state, detail=detail))
    return routes


def _folder_of(package: str) -> Path:
    """The folder of an installed package, which is not imported; a folder that does not exist if there is none."""
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else Path("/nonexistent")
