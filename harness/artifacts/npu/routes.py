"""The ways to a file for a neural processor: one row each, with whether it is open on this computer, and why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from harness.artifacts.npu.executorch import why_no_backend
from harness.artifacts.npu.litert import MAKERS, why_no_maker_sdk, why_no_plugin
from harness.artifacts.npu.qnn import why_no_qnn
from harness.artifacts.npu.sdk import SDK_VARIABLE, why_no_sdk
from harness.wire import Format


class RouteState(StrEnum):
    """Whether a way is open."""

    BUILDS = "builds"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class NpuRoute:
    """One way: the format, whose processor it is for, and its state with the reason or the next step."""

    format: Format
    maker: str
    state: RouteState
    detail: str


def npu_routes(environment: Mapping[str, str]) -> tuple[NpuRoute, ...]:
    """Return every way; ``environment`` holds the variables that name the user's SDKs."""
    return (_onnx(), _executorch(environment.get(SDK_VARIABLE, "")), *_litert())


def _onnx() -> NpuRoute:
    reason = why_no_qnn()
    detail = reason or "phonebench npu compiles an int8 .onnx and checks it in the simulator"
    state = RouteState.MISSING if reason else RouteState.BUILDS
    return NpuRoute(format=Format.ONNX, maker="Qualcomm", state=state, detail=detail)


def _executorch(sdk: str) -> NpuRoute:
    reason = why_no_backend() or why_no_sdk(sdk)
    ready = f"phonebench npu MODEL --chip SM8650 compiles with the SDK at {sdk!r}; it is not run here"
    state = RouteState.MISSING if reason else RouteState.BUILDS
    return NpuRoute(format=Format.PTE, maker="Qualcomm", state=state, detail=reason or ready)


def _litert() -> list[NpuRoute]:
    routes = []
    for name, maker in MAKERS.items():
        reason = why_no_plugin(maker) or why_no_maker_sdk(maker)
        ready = f"phonebench npu FILE.tflite --for {name} --chip NAME compiles with the maker's SDK; it is not run here"
        state = RouteState.MISSING if reason else RouteState.BUILDS
        routes.append(NpuRoute(format=Format.TFLITE, maker=maker.title, state=state, detail=reason or ready))
    return routes
