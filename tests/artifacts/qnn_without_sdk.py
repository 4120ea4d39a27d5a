"""What ExecuTorch's QNN backend does without an SDK, in a process of its own: importing it changes the process."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from harness.artifacts.npu.executorch_child import compiler_spec, known_chips, quantised
from tests.artifacts.shop import float_model


def check() -> None:
    """Raise AssertionError if the backend is asked for something else than phonebench means."""
    from executorch.backends.qualcomm.serialization.qc_schema import QcomChipset, QnnExecuTorchHtpPrecision
    from executorch.backends.qualcomm.serialization.qc_schema_serialize import flatbuffer_to_option
    from executorch.backends.qualcomm.utils.utils import generate_qnn_executorch_option

    assert {"SM8550", "SM8650"} <= set(known_chips())
    options = flatbuffer_to_option(generate_qnn_executorch_option(compiler_spec("SM8550")))
    assert options.soc_info.soc_model == QcomChipset.SM8550
    assert not options.online_prepare
    assert options.backend_options.htp_options.precision == QnnExecuTorchHtpPrecision.kHtpQuantized
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5)).eval()
    inputs = np.random.default_rng(0).standard_normal((16, 1, 3, 8, 8)).astype(np.float32)
    graph = quantised(float_model(network, inputs), "SM8550")
    with torch.no_grad():
        expected = np.stack([network(torch.from_numpy(x)).numpy() for x in inputs])
        actual = np.stack([graph(torch.from_numpy(x)).numpy() for x in inputs])
    sqnr_db = 10 * np.log10((expected**2).sum() / ((actual - expected) ** 2).sum())
    # Eight bits; it is another number than that of the float network, or nothing was quantised.
    assert 25 < sqnr_db < 60, sqnr_db
