"""The error of a converter in words for the user: what could not be converted, where in the network, and what to do.

Converters are compilers, whose messages fill pages and speak of their own insides. Those go to the log. What is wrong
and what to do is taken from a table of the kinds of trouble that networks meet.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.artifacts.workers.culprit import Culprit, find_culprit
from harness.errors import typed_line
from harness.system.faults import environment_fault

# A line of code or of a message that is longer is cut.
_LONGEST = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trouble:
    """A kind of trouble: how errors speak of it, what is wrong, and what to do.

    ``quantiser``, ``traced``: only of errors in a quantiser, or while it traced the network.
    """

    pattern: str
    wrong: str
    remedy: str
    quantiser: bool = False
    traced: bool = False

    def fits(self, culprit: Culprit, error: BaseException) -> bool:
        """Return whether an error is of this kind."""
        words = f"{type(error).__name__}: {culprit.operator} {culprit.text}"
        where = (culprit.quantises or not self.quantiser) and (culprit.traced or not self.traced)
        return where and re.search(self.pattern, words) is not None


_OTHER_FORMAT = "another format may take it"
_OTHER_PRECISION = "use another precision or another format"
# The first that fits counts.
_TROUBLES = (
    _Trouble(
        pattern="",
        quantiser=True,
        traced=True,
        wrong="it traces the network with placeholders, so that sizes and values of tensors are not numbers there",
        remedy=f"compute what depends on them outside forward, such as in a buffer, or {_OTHER_PRECISION}",
    ),
    _Trouble(
        pattern=r"(?i)data-dependent|GuardOnDataDependent|control flow",
        wrong="the network decides by the value of a tensor, which is not known when it is converted",
        remedy="use torch.where to choose between two values, torch.cond between two computations, and masks for sizes",
    ),
    _Trouble(
        pattern=r"(?i)complex",
        wrong="it has no complex numbers",
        remedy="compute the real and the imaginary part yourself (an STFT is a Conv1d with cosines and sines as its "
        f"weights), or move this step out of the network; {_OTHER_FORMAT}",
    ),
    _Trouble(
        pattern=r"\.numpy\(\) is not supported|np\.ndarray",
        wrong="values that leave torch cannot be followed",
        remedy="write this step with operations of torch, without numpy",
    ),
    _Trouble(
        pattern=r"(?i)not in Core ATen|Lowering not found|UnsupportedOperator|No ONNX function|No conversion function"
        r"|is not supported|not implemented for|Unknown builtin op",
        wrong="it has no such operator",
        remedy=f"replace it by simpler operations, or move this step out of the network; {_OTHER_FORMAT}",
    ),
    # An input dilated by more than 1 is how MLIR writes the stride of a transposed convolution.
    _Trouble(
        pattern=r"(?s)failed to legalize.*hlo\.convolution.*lhs_dilation = dense<(?!1>)",
        wrong="a transposed convolution needs padding=0, or kernel_size - 2 * padding = stride without output_padding",
        remedy="set padding=0 and cut as much off the edges of the output, which computes the same; " + _OTHER_FORMAT,
    ),
    _Trouble(
        pattern=r"failed to legalize",
        wrong="it has no such operator in this form",
        remedy=f"replace it by simpler operations; {_OTHER_FORMAT}",
    ),
    _Trouble(
        pattern=r"ConvTranspose",
        quantiser=True,
        wrong="it cannot give the weights of a transposed convolution one scale per channel",
        remedy="use int8-tensor, which has one scale per tensor, or another format",
    ),
    _Trouble(
        pattern=r"expected scalar type|indices must be|must be long",
        quantiser=True,
        wrong="it treats whole numbers like values to quantise",
        remedy=_OTHER_PRECISION,
    ),
)


def explain(error: BaseException) -> str:
    """Return what ``error``, raised by an export, means for the user."""
    culprit = find_culprit(error)
    if environment_fault(error) is not None or not culprit.tool:
        return say(error)
    trouble = next((trouble for trouble in _TROUBLES if trouble.fits(culprit, error)), None)
    verb = "quantise" if culprit.quantises else "convert"
    if trouble is None:
        advice = f"try int8-tensor, or {_OTHER_PRECISION}" if culprit.quantises else _OTHER_FORMAT
        return f"{culprit.tool} cannot {verb} {_what(culprit)} ({_cut(typed_line(error))}); {advice}"
    return f"{culprit.tool} cannot {verb} {_what(culprit)}: {trouble.wrong}. To fix this, {trouble.remedy}"


def say(error: BaseException) -> str:
    """Return an error of no converter in a line: of the user's own code, a download, or what the computer lacks."""
    fault = environment_fault(error)
    return f"{fault}, and build again" if fault is not None else typed_line(error)[: 2 * _LONGEST]


def _what(culprit: Culprit) -> str:
    """The operator, the layer and the line, as far as they are known."""
    words = culprit.operator or "the network"
    if culprit.line:
        code = f" `{_cut(culprit.code)}`" if culprit.code else ""
        return f"{words} at {culprit.line}{code}"
    return f"{words} of layer {culprit.layer}" if culprit.layer else words


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
