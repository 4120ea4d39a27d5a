"""``phonebench npu``: a file for the neural processor of one chip, compiled ahead of time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from harness.cli.console import print_json
from harness.cli.options import json_option, signature_option
from harness.errors import UsageError
from harness.system.paths import cache_folder

# The names of `harness.artifacts.npu.litert.MAKERS`, which --help does not import.
_MAKERS = ("qualcomm", "mediatek", "google", "samsung", "intel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for on the command line."""

    model: str
    chip: str
    maker: str
    output: Path
    soc: int | None
    sdk: Path | None
    libraries: Path | None


@click.command(short_help="Compile a model for the neural processor of one chip.")
@click.argument("model", metavar="FILE_OR_MODEL")
@click.option("--chip", metavar="NAME", required=True, help="v68 to v81 for .onnx; else the chip, such as SM8650.")
@click.option(
    "--for",
    "maker",
    metavar="MAKER",
    type=click.Choice(_MAKERS),
    default="qualcomm",
    show_default=True,
    help=f"The chip's maker: {', '.join(_MAKERS)}.",
)
@click.option("--soc", metavar="NUMBER", type=click.IntRange(min=1), help="Qualcomm's number of the chip, for .onnx.")
@click.option(
    "-o", "--output", metavar="DIR", type=click.Path(path_type=Path), required=True, help="The new folder for it."
)
@click.option(
    "--sdk",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The maker's SDK for .pte (else QNN_SDK_ROOT), or its libraries for this computer for .tflite.",
)
@click.option(
    "--libraries",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Qualcomm's SDK, or a folder with its libraries, to pack those that a phone needs beside an .onnx.",
)
@signature_option
@json_option
def npu(model: str, require_signature: str | None, as_json: bool, **options: Any) -> None:
    """Compile for a neural processor: an int8 .onnx or .tflite file, or a model, which becomes a .pte in int8.

    An .onnx is for Qualcomm, needs the extra qnn and no SDK, and is checked in the compiler's simulator. A .tflite (any
    --for) and a .pte (Qualcomm) need the maker's SDK, and are not run here. No speed is shown.
    """
    asked = Asked(model=model, **options)
    suffix = Path(model).suffix
    if suffix != ".onnx" and (asked.soc is not None or asked.libraries is not None):
        msg = "--soc and --libraries are for .onnx files"
        raise UsageError(msg)
    if suffix != ".tflite" and asked.maker != "qualcomm":
        msg = f"--for {asked.maker} takes a .tflite file: .onnx and .pte are for Qualcomm's chips"
        raise UsageError(msg)
    if suffix in (".onnx", ".tflite"):
        _check_signature(Path(model), require_signature)
    compile_ = {".onnx": _onnx, ".tflite": _tflite}.get(suffix) or _pte(require_signature)
    facts, lines = compile_(asked)
    if as_json:
        print_json(facts)
        return
    for line in lines:
        click.echo(line)


def _check_signature(file: Path, require_signature: str | None) -> None:
    if require_signature is not None:
        from harness.signing.require import require_signatures

        require_signatures([file], Path(require_signature).expanduser())


def _onnx(asked: Asked) -> tuple[dict[str, Any], list[str]]:
    from harness.artifacts.npu.qnn import compile_for_qnn

    model = Path(asked.model)
    done = compile_for_qnn(model, asked.output, asked.chip, soc=asked.soc, libraries=asked.libraries)
    facts = {
        "folder": str(done.folder),
        "chip": done.chip,
        "simulator_sqnr_db": done.sqnr_db,
        "versions": done.versions,
        "libraries": list(done.libraries),
    }
    packed = f"packed: {', '.join(done.libraries)}" if done.libraries else "without the phone's libraries: --libraries"
    close = f"{done.folder}: for {done.chip}, {done.sqnr_db:.1f} dB between the simulator and {model.name} here"
    return facts, [close, packed]


def _tflite(asked: Asked) -> tuple[dict[str, Any], list[str]]:
    from harness.artifacts.npu.litert import compile_for_litert

    done = compile_for_litert(Path(asked.model), asked.output, asked.maker, asked.chip, sdk=asked.sdk)
    facts = {
        "folder": str(done.folder),
        "maker": done.maker,
        "chip": done.chip,
        "operators_on_npu": done.taken,
        "operators": done.operators,
    }
    taken = f"{done.folder}: for {done.chip}, {done.taken} of {done.operators} operators on the neural processor"
    return facts, [taken, "not run: this computer has no such processor"]


def _pte(require_signature: str | None) -> Any:
    def compile_(asked: Asked) -> tuple[dict[str, Any], list[str]]:
        from harness.artifacts.npu.executorch import compile_for_executorch
        from harness.artifacts.npu.sdk import SDK_VARIABLE
        from harness.model.card import ModelOptions
        from harness.model.resolve import resolve
        from harness.spec.spec import Spec
        from harness.workflows.signatures import verify_models

        card = resolve(asked.model, ModelOptions())
        verify_models((card,), Spec(require_signature=require_signature))
        sdk = str(asked.sdk) if asked.sdk else os.environ.get(SDK_VARIABLE, "")
        done = compile_for_executorch(card, asked.output, asked.chip, sdk=sdk, cache_root=cache_folder(None))
        facts = {"folder": str(done.folder), "chip": done.chip, "operators_left": done.left}
        left = f"{done.folder}: for {done.chip}, {done.left} operators stay on the phone's cores"
        return facts, [left, "not run: this computer has no such processor"]

    return compile_
