"""Whether this processor's int8 kernels can lose what no phone loses.

x86 before VNNI adds the products of unsigned activations and signed weights in pairs, in 16 bits that saturate. Eight
bits of weights overflow there, so ONNX Runtime computed other values than it does on ARM. With its session option
``session.x64quantprecision`` it adds 128 to each weight at load and uses kernels for unsigned weights. They give the
same values as other processors, in about twice the time.
"""

from __future__ import annotations

import platform
import re
from pathlib import Path

PRECISE = "session.x64quantprecision"

_X86 = ("x86_64", "amd64", "i386", "i686", "x86")


def saturates(machine: str | None = None, cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether int8 kernels may saturate: on x86 processors without VNNI, or whose features are not known.

    ``machine`` is this computer's by default.
    """
    if (platform.machine() if machine is None else machine).lower() not in _X86:
        return False
    try:
        text = cpuinfo.read_text(encoding="ascii", errors="replace")
    except OSError:
        return True
    flags = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    return flags is None or not any(flag.endswith("vnni") for flag in flags[1].split())
