"""``python nncf_quantise.py FLOAT.onnx INPUTS.npy INT8.onnx``: NNCF with its own defaults, in its own environment."""

import sys

import nncf  # type: ignore[import-not-found]  # installed by the benchmark, in another environment
import numpy as np
import onnx


def main() -> None:
    """Quantise one file. The inputs have the shape (count, one call)."""
    source, inputs, destination = sys.argv[1:]
    model = onnx.load(source)
    name = model.graph.input[0].name
    dataset = nncf.Dataset([{name: x} for x in np.load(inputs)])
    onnx.save(nncf.quantize(model, dataset), destination)


if __name__ == "__main__":
    main()
