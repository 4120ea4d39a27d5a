"""``make benchmark ARGS=quality``: static int8 of this package beside other quantisers on the same float files.

Every quantiser starts from the float file that phonebench exported, has the same calibration inputs, and is used with
its own defaults. Other inputs test the files. NNCF is installed into an environment of its own, which is deleted
afterwards.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from harness.artifacts.export.exporter import FloatModel
from harness.artifacts.export.registry import EXPORTERS
from harness.runners.host.runtimes.registry import open_session, run_once
from harness.spec.formats import FORMATS
from harness.spec.shorthand import parse_recipe
from harness.stats.fidelity import compare_outputs
from harness.wire import Delegate, DType, Format, RuntimeRequest, TensorSpec
from harness.wire.tensors import Array
from tests.benchmarks.awkward import NETWORKS, Awkward, trained

NNCF = ("nncf==3.4.0", "onnx==1.23.2", "onnxruntime==1.31.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A folder for files, and the interpreter that has NNCF."""

    folder: Path
    nncf: Path


Peer = Callable[[Path, Array, Path, Bench], None]


def quality(folder: Path) -> None:
    """Print the median SQNR in dB of each quantiser's file on each network, and top-1 agreement for classes."""
    # More threads wait for each other on a busy computer, and these networks are small.
    torch.set_num_threads(1)
    bench = Bench(folder=folder, nncf=nncf_python(folder))
    print(f"{'network':<28}" + "".join(f"{name:>27}" for name in COLUMNS))
    for name in NETWORKS:
        case = trained(name)
        # Converters print their progress.
        with contextlib.redirect_stdout(sys.stderr):
            figures = [measured(case, column, bench) for column in COLUMNS]
        print(f"{name:<28}" + "".join(f"{figure:>27}" for figure in figures), flush=True)


def nncf_python(folder: Path) -> Path:
    """Install NNCF into an environment in ``folder``."""
    environment = folder / "nncf"
    python, uv = environment / "bin" / "python", Path(sys.executable).with_name("uv")
    subprocess.run([str(uv), "venv", "--quiet", "--python", sys.executable, str(environment)], check=True)
    subprocess.run([str(uv), "pip", "install", "--quiet", "--python", str(python), *NNCF], check=True)
    return python


def with_ort(base: Path, inputs: Array, destination: Path, bench: Bench) -> None:  # noqa: ARG001  the others need it
    """ONNX Runtime's own quantiser."""
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    name = onnxruntime.InferenceSession(str(base), providers=["CPUExecutionProvider"]).get_inputs()[0].name

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # a class of an untyped package
        """One input after the other."""

        def __init__(self) -> None:
            self._rows = iter(inputs)

        def get_next(self) -> dict[str, Array] | None:
            """Return the next input, None after the last."""
            row = next(self._rows, None)
            return None if row is None else {name: row}

    quantize_static(str(base), str(destination), Reader())


def with_nncf(base: Path, inputs: Array, destination: Path, bench: Bench) -> None:
    """NNCF, in its own environment."""
    rows = base.with_suffix(".npy")
    np.save(rows, inputs)
    script = Path(__file__).with_name("nncf_quantise.py")
    command = [str(bench.nncf), str(script), str(base), str(rows), str(destination)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.splitlines()[-1])


def with_ai_edge(base: Path, inputs: Array, destination: Path, bench: Bench) -> None:  # noqa: ARG001  the others need it
    """ai-edge-quantizer's recipe for static int8."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    job = quantizer.Quantizer(str(base))
    job.load_quantization_recipe(recipe.static_wi8_ai8())
    signature, names = next(iter(Interpreter(model_path=str(base)).get_signature_list().items()))
    ranges = job.calibrate({signature: [{names["inputs"][0]: row} for row in inputs]})
    destination.write_bytes(job.quantize(ranges).quantized_model)


COLUMNS: dict[str, tuple[Format, Peer | None]] = {
    "phonebench .onnx": (Format.ONNX, None),
    "NNCF .onnx": (Format.ONNX, with_nncf),
    "ONNX Runtime .onnx": (Format.ONNX, with_ort),
    "phonebench .tflite": (Format.TFLITE, None),
    "ai-edge-quantizer .tflite": (Format.TFLITE, with_ai_edge),
    "phonebench .pte": (Format.PTE, None),
}


def measured(case: Awkward, column: str, bench: Bench) -> str:
    """Return the figure of one file, or the reason why there is none."""
    format_, peer = COLUMNS[column]
    spec = TensorSpec(name="x", dtype=DType.FLOAT32, shape=case.calibration.shape[1:])
    source = FloatModel(network=case.network, inputs=(spec,), calibration=lambda _: (case.calibration,), scripted=False)
    path = bench.folder / f"int8.{format_.value}"
    delegate = Delegate.CPU if format_ is Format.ONNX else Delegate.XNNPACK
    exporter = EXPORTERS[format_](source)
    try:
        if peer is None:
            exporter.export(parse_recipe("int8"), FORMATS[format_].backends.get(delegate), path)
        else:
            base = bench.folder / f"base.{format_.value}"
            exporter.export(parse_recipe("fp32"), None, base)
            peer(base, case.calibration, path, bench)
        outputs = list(run(path, case.test, format_, delegate))
    # Other libraries, and the files they write, can fail in any way, and the table shows how. Our own errors end it.
    except Exception as error:
        if peer is None:
            raise
        return type(error).__name__
    with torch.no_grad():
        expected = [case.network(torch.from_numpy(x)).numpy() for x in case.test]
    sides = [np.stack(side).reshape(len(case.test), -1) for side in (expected, outputs)]
    fidelity = compare_outputs(sides[0], sides[1], classes=case.classes)
    agreement = "" if fidelity.agreement is None else f", {fidelity.agreement:.1%}"
    return f"{fidelity.sqnr_db:.1f}{agreement}"


def run(path: Path, inputs: Array, format_: Format, delegate: Delegate) -> Iterator[Array]:
    """Yield the first output of each call."""
    session = open_session(path, RuntimeRequest(delegate=delegate, threads=1), format_)
    for x in inputs:
        yield run_once(session, [x])[0]
    session.close()
