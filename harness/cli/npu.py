"""``phonebench npu``: a file for the neural processor of one chip, compiled ahead of time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.console import print_json
from harness.cli.options import json_option, signature_option


@click.command(short_help="Compile an int8 .onnx for a Qualcomm neural processor.")
@click.argument("model", metavar="ONNX_FILE", type=click.Path(path_type=Path))
@click.option("--chip", metavar="VERSION", required=True, help="Hexagon version: v68, v69, v73, v75, v79, v81.")
@click.option("--soc", metavar="NUMBER", type=click.IntRange(min=1), help="Qualcomm's number of the chip (soc_model).")
@click.option(
    "-o", "--output", metavar="DIR", type=click.Path(path_type=Path), required=True, help="The new folder for it."
)
@click.option(
    "--libraries",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Qualcomm's SDK, or a folder with its libraries, to pack those that a phone needs.",
)
@signature_option
@json_option
def npu(
    model: Path,
    chip: str,
    soc: int | None,
    output: Path,
    libraries: Path | None,
    require_signature: str | None,
    as_json: bool,
) -> None:
    """Compile ONNX_FILE, which has static int8, into a context binary for Qualcomm's neural processor.

    The result is run in the compiler's simulator and compared with the file on this computer. Its speed is not shown,
    because a simulator has none. Needs the extra qnn on Linux on x86-64; no SDK.
    """
    from harness.artifacts.npu.qnn import compile_for_qnn

    if require_signature is not None:
        from harness.signing.require import require_signatures

        require_signatures([model], Path(require_signature).expanduser())
    done = compile_for_qnn(model, output, chip, soc=soc, libraries=libraries)
    facts: dict[str, Any] = {
        "folder": str(done.folder),
        "chip": done.chip,
        "simulator_sqnr_db": done.sqnr_db,
        "versions": done.versions,
        "libraries": list(done.libraries),
    }
    if as_json:
        print_json(facts)
        return
    click.echo(f"{done.folder}: for {done.chip}, {done.sqnr_db:.1f} dB between the simulator and {model.name} here")
    packed = f"packed: {', '.join(done.libraries)}" if done.libraries else "without the phone's libraries: --libraries"
    click.echo(packed)
