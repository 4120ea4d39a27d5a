"""LiteRT's GPU delegate for real, over the Vulkan driver that Chromium brings: what it takes, leaves and computes.

Right outputs are those of LiteRT's interpreter, which these tests call themselves.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.runners.host.runtimes.registry import PROFILERS, open_session, run_once
from harness.runners.host.runtimes.session import Session, SessionError
from harness.runners.host.runtimes.tflite_gpu import read_placement
from harness.runners.host.vulkan import NoVulkanError, has_own_driver, prepare_vulkan, software_driver
from harness.wire import Accelerator, Delegate, FailureKind, Format, NodesLeft, RuntimeRequest
from tests.readers.tflite_files import tflite_chain, tflite_file, tflite_sum, tflite_unpreparable

GPU = RuntimeRequest(delegate=Delegate.GPU, threads=1)
SHAPE = (1, 8, 8, 4)
# What the delegate does not have, what it has, and what it has only with other options.
NEVER, ALWAYS, SOMETIMES = "LOG_SOFTMAX", "ABS", "SOFTMAX"


@pytest.fixture(scope="module", autouse=True)
def _driver() -> None:
    pytest.importorskip("ai_edge_litert.compiled_model")
    if software_driver() is None and not has_own_driver(os.environ):
        pytest.skip("missing: a Vulkan driver; run: apt-get install chromium")


def write(folder: Path, *kinds: str, shape: tuple[int, ...] = SHAPE) -> Path:
    path = folder / "chain.tflite"
    path.write_bytes(tflite_chain(kinds, shape))
    return path


def opened(path: Path) -> Session:
    return open_session(path, GPU, Format.TFLITE)


def by_the_interpreter(path: Path, array: Any) -> Any:
    library: Any = pytest.importorskip("ai_edge_litert.interpreter")
    interpreter = library.Interpreter(str(path))
    detail = interpreter.get_input_details()[0]
    interpreter.resize_tensor_input(detail["index"], array.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(detail["index"], array)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def noise(shape: tuple[int, ...] = SHAPE, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_a_file_that_the_delegate_takes_runs_on_it_with_the_interpreters_outputs(tmp_path: Path) -> None:
    path = write(tmp_path, ALWAYS, "EXP", "TANH")
    session = opened(path)
    for seed in range(3):
        array = noise(seed=seed)
        np.testing.assert_allclose(run_once(session, [array])[0], by_the_interpreter(path, array), atol=1e-5)
    report = session.report()
    session.close()
    assert (report.delegate_used, report.nodes_total, report.nodes_delegated, report.nodes_left) == ("gpu", 3, 3, ())
    assert report.accelerator is not None
    if not has_own_driver({}):
        assert "SwiftShader" in report.accelerator.name
        assert report.accelerator.software


def test_a_call_repeated_on_the_same_inputs_gives_the_same(tmp_path: Path) -> None:
    path, array = write(tmp_path, "EXP", ALWAYS), noise()
    session = opened(path)
    session.set_inputs([array])
    for _ in range(3):
        session.invoke()
    np.testing.assert_allclose(session.outputs()[0], by_the_interpreter(path, array), atol=1e-5)
    session.close()


@pytest.mark.parametrize(
    ("kinds", "taken", "left"),
    [
        ((ALWAYS, NEVER), 1, {NEVER: 1}),
        ((NEVER, ALWAYS, ALWAYS, NEVER), 2, {NEVER: 2}),
        ((ALWAYS, NEVER, "NEG", "EXP", SOMETIMES), 2, {NEVER: 1, SOMETIMES: 1, "other": 1}),
        ((NEVER, NEVER), 0, {NEVER: 2}),
    ],
)
def test_what_the_delegate_leaves_is_named_with_the_reason_and_computed_all_the_same(
    kinds: tuple[str, ...], taken: int, left: dict[str, int], tmp_path: Path
) -> None:
    path, array = write(tmp_path, *kinds), noise()
    session = opened(path)
    np.testing.assert_allclose(run_once(session, [array])[0], by_the_interpreter(path, array), atol=1e-4)
    report = session.report()
    session.close()
    assert (report.nodes_total, report.nodes_delegated) == (len(kinds), taken)
    assert {part.kind: part.nodes for part in report.nodes_left} == left
    assert all(part.reason for part in report.nodes_left)
    assert report.delegate_used == ("gpu" if taken else "cpu")
    assert (report.accelerator is None) == (taken == 0)


def test_tensors_of_too_many_dimensions_are_refused_by_the_delegate_in_its_own_words(tmp_path: Path) -> None:
    session = opened(write(tmp_path, ALWAYS, shape=(2, 1, 2, 1, 2)))
    report = session.report()
    session.close()
    assert (report.delegate_used, report.nodes_delegated) == ("cpu", 0)
    assert "dimensions" in report.nodes_left[0].reason


def test_a_file_that_cannot_be_compiled_for_the_gpu_is_a_hole_in_the_words_of_the_library(tmp_path: Path) -> None:
    path = tmp_path / "sum.tflite"
    path.write_bytes(tflite_unpreparable())
    with pytest.raises(SessionError) as raised:
        opened(path)
    assert (raised.value.kind, raised.value.unsupported) == (FailureKind.DELEGATE, True)
    assert raised.value.message.startswith("LiteRT cannot compile 'sum.tflite' for the GPU: ")
    assert "no_integer_overflow_from_quantization" in raised.value.message
    # The interpreter that a user would run it with says the same.
    library: Any = pytest.importorskip("ai_edge_litert.interpreter")
    plain = library.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = library.Interpreter(str(path), experimental_op_resolver_type=plain)
    with pytest.raises(RuntimeError, match="no_integer_overflow_from_quantization"):
        interpreter.allocate_tensors()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_each_of_several_inputs_gets_its_own_values(order: tuple[int, int], tmp_path: Path) -> None:
    path, arrays = tmp_path / "sum.tflite", (noise((2, 8)), noise((1, 8), seed=1))
    path.write_bytes(tflite_sum([array.shape for array in arrays], order))
    session = opened(path)
    outputs = run_once(session, [arrays[at] for at in order])
    np.testing.assert_allclose(outputs[0], arrays[0] + arrays[1], atol=1e-5)
    session.close()


def test_a_batch_of_another_size_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "open.tflite"
    path.write_bytes(tflite_file("FLOAT32", [1, 4], [-1, 4]))
    session = opened(path)
    for rows in (1, 3):
        array = noise((rows, 4))
        np.testing.assert_allclose(run_once(session, [array])[0], np.abs(array), atol=1e-6)
    session.close()


def test_the_profile_says_what_the_delegate_left_and_why_there_are_no_times(tmp_path: Path) -> None:
    path = write(tmp_path, ALWAYS, "EXP", NEVER)
    found = PROFILERS[Format.TFLITE](path, GPU, [noise()], 3)
    assert [(o.kind, o.nodes, o.ran_on) for o in found.operators] == [("GPU", 2, "gpu"), (NEVER, 1, "cpu")]
    assert "no profiler" in found.facts.reason


def test_a_computer_without_a_driver_is_told_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(NoVulkanError, match="no Vulkan driver: install that of its GPU .* or Chromium"):
        prepare_vulkan({}, root=tmp_path, home=tmp_path)


def test_it_is_known_that_the_driver_of_a_browser_was_chosen(tmp_path: Path) -> None:
    if software_driver() is None:
        pytest.skip("missing: a browser's Vulkan driver; run: apt-get install chromium")
    environment: dict[str, str] = {}
    chosen = not has_own_driver(environment, home=tmp_path)
    for _ in range(2):
        assert prepare_vulkan(environment, home=tmp_path) == chosen
    assert environment.get("VK_DRIVER_FILES") == (str(software_driver()) if chosen else None)
    assert not prepare_vulkan({"VK_DRIVER_FILES": "/of/a/gpu.json"}, home=tmp_path)


def test_a_driver_without_a_gpu_is_a_hole_with_the_next_step(tmp_path: Path) -> None:
    path = write(tmp_path, ALWAYS)
    code = (
        "import sys; from pathlib import Path; from harness.runners.host.runtimes.registry import open_session;"
        "from harness.runners.host.runtimes.session import SessionError; from harness.wire import *;"
        "r = RuntimeRequest(delegate=Delegate.GPU, threads=1);\n"
        "try: open_session(Path(sys.argv[1]), r, Format.TFLITE)\n"
        "except SessionError as error: print(error.unsupported, error.kind.value, error.message)"
    )
    # A driver that does not exist was chosen, so Vulkan's loader finds no device.
    environment = os.environ | {"VK_DRIVER_FILES": "/nowhere.json", "VK_ICD_FILENAMES": "/nowhere.json"}
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=120)
    assert done.stdout.splitlines()[-1].startswith("True delegate Vulkan offers no GPU here")


@pytest.mark.parametrize(
    ("files", "environment", "own"),
    [
        ((), {}, False),
        (("usr/share/vulkan/icd.d/radeon.json",), {}, True),
        (("etc/vulkan/icd.d/nvidia.json",), {}, True),
        (("home/.local/share/vulkan/icd.d/x.json",), {}, True),
        (("usr/share/vulkan/icd.d/readme.txt", "usr/lib/chromium/vk_swiftshader_icd.json"), {}, False),
        ((), {"VK_ICD_FILENAMES": "/x.json"}, True),
        ((), {"VK_DRIVER_FILES": ""}, False),
    ],
)
def test_a_driver_of_the_computers_own_comes_before_that_of_a_browser(
    files: tuple[str, ...], environment: dict[str, str], own: bool, tmp_path: Path
) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("{}")
    assert has_own_driver(environment, tmp_path, tmp_path / "home") == own
    browsers = [name for name in files if "chromium" in name]
    assert software_driver(tmp_path) == (tmp_path / browsers[0] if browsers else None)


@pytest.mark.parametrize(
    ("said", "placement"),
    [
        ("Selected adapter: NVIDIA RTX 4060, arch=ada, vendor=nvidia, backend=Vulkan, adapterType=Discrete GPU\n",
         (Accelerator(name="NVIDIA RTX 4060"), 4, 4, ())),
        ("Selected adapter: llvmpipe (LLVM 19), arch=, vendor=mesa, backend=Vulkan, adapterType=CPU / Software\n",
         (Accelerator(name="llvmpipe (LLVM 19)", software=True), 4, 4, ())),
        ("", (None, 4, 4, ())),
        # One of two convolutions is refused, so only one node is left.
        ("Following operations are not supported by GPU delegate:\nCONV_2D: Groups: 3.\n"
         "3 operations will run on the GPU, and the remaining 1 operations will run on the CPU.\n",
         (None, 4, 3, (NodesLeft(kind="CONV_2D", nodes=1, reason="Groups: 3."),))),
    ],
)  # fmt: skip
def test_what_the_library_prints_is_read(said: str, placement: tuple[Any, ...]) -> None:
    found = read_placement(said, ["CONV_2D", "ABS", "CONV_2D", "ABS"])
    assert (found.accelerator, found.total, found.taken, found.left) == placement
