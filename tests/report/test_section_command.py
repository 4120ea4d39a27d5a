"""The command that repeats a run."""

from __future__ import annotations

import shlex

from harness.report.commands import command_line
from harness.spec.profiles import ProfileName
from harness.spec.spec import Spec
from harness.wire import Delegate, Format


def test_every_choice_is_spelled_out() -> None:
    spec = Spec(
        model=("my model", "digits"),
        device=("fake",),
        format=(Format.PTE, Format.ONNX),
        variant=("fp32",),
        delegate=(Delegate.CPU,),
        threads=(1, 4),
        profile=ProfileName.STANDARD,
        launches=3,
        random_weights=True,
        input=("x:float32:1x3",),
        data="a b.npz",
        seed=5,
    )
    assert shlex.split(command_line(spec)) == (
        ["phonebench", "run", "my model", "digits", "--device", "fake", "--format", "pte,onnx", "--variant", "fp32"]
        + ["--delegate", "cpu", "--threads", "1,4", "--profile", "standard", "--launches", "3", "--random-weights"]
        + ["--input", "x:float32:1x3", "--data", "a b.npz", "--seed", "5"]
    )


def test_what_was_left_open_is_left_out() -> None:
    words = command_line(Spec())
    assert "--delegate" not in words
    assert words.startswith("phonebench run digits --device host --format pte,tflite,onnx,ptl")
