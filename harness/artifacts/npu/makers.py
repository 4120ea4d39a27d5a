"""The makers whose chips LiteRT compiles for. The command line lists them, so this file imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LitertMaker:
    """One maker of chips: its name, the folder of its plug-in in ai-edge-litert, and the package of its SDK."""

    title: str
    folder: str
    sdk_package: str


MAKERS: dict[str, LitertMaker] = {
    "qualcomm": LitertMaker(title="Qualcomm", folder="qualcomm", sdk_package="ai_edge_litert_sdk_qualcomm"),
    "mediatek": LitertMaker(title="MediaTek", folder="mediatek", sdk_package="ai_edge_litert_sdk_mediatek"),
    "google": LitertMaker(
        title="Google Tensor", folder="google_tensor", sdk_package="ai_edge_litert_sdk_google_tensor"
    ),
    "samsung": LitertMaker(title="Samsung", folder="samsung", sdk_package="ai_edge_litert_sdk_samsung"),
    "intel": LitertMaker(title="Intel", folder="intel_openvino", sdk_package="ai_edge_litert_sdk_intel"),
}
