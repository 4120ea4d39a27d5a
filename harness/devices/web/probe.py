"""What a browser is, as its page reports it before anything is measured."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.errors import DeviceError
from harness.system.decoding import decode_json


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFacts:
    """What the page of a browser reports. ``gpu`` and ``webnn`` say in words what they offer; ``gpu`` is empty without.

    ``memory_gib`` is rounded by the browser, and 0 if it is not reported.
    """

    user_agent: str
    isolated: bool
    clock_step_ns: int
    cores: int
    memory_gib: float
    simd: bool
    gpu: str
    webnn: str


# The first pattern that fits names the browser: most of them also name those that they are compatible with.
_NAMES = (
    ("Edge", r"\bEdg(?:A|iOS)?/(\d+)"),
    ("Opera", r"\bOPR/(\d+)"),
    ("Samsung Internet", r"\bSamsungBrowser/(\d+)"),
    ("Firefox", r"\b(?:Firefox|FxiOS)/(\d+)"),
    ("Chrome", r"\b(?:Headless)?(?:Chrome|CriOS)/(\d+)"),
    ("Safari", r"\bVersion/(\d+)[.\d]* (?:Mobile/\S+ )?Safari/"),
)


def read_facts(data: bytes) -> PageFacts:
    """Return the facts that the page sent. Raises `DeviceError` if the page failed, or is not fit to measure in."""
    try:
        facts = decode_json(data, PageFacts)
    except ValueError as error:
        text = data[:300].decode(errors="replace")
        msg = f"the browser's page does not report what it is: {text}; update the browser"
        raise DeviceError(msg) from error
    if not facts.isolated:
        msg = (
            "the page is not isolated in this browser (crossOriginIsolated is false), so its clock is too coarse and "
            "it has no threads: open the link unchanged, at localhost, in a newer browser"
        )
        raise DeviceError(msg)
    if not facts.simd:
        msg = f"this browser has no SIMD in WebAssembly, which the runtimes need: update it ({facts.user_agent})"
        raise DeviceError(msg)
    return facts


def browser_name(user_agent: str) -> str:
    """Return the name and the main version of a browser, such as ``Firefox 128``."""
    for name, pattern in _NAMES:
        match = re.search(pattern, user_agent)
        if match:
            return f"{name} {match[1]}"
    return user_agent.split("/")[0].strip() or "unknown browser"


def system_name(user_agent: str) -> str:
    """Return the system that a user agent names, such as ``X11; Linux x86_64``."""
    match = re.search(r"\(([^)]*)\)", user_agent)
    return match[1] if match else "unknown"
