"""From a spec to cells: everything crossed, keys unique, and a reason for each hole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.devices.registry import offer_of
from harness.errors import UsageError
from harness.model.card import ModelCard, SourceKind
from harness.plan.cells import Build, Plan
from harness.plan.plan import make_plan
from harness.spec.formats import FORMATS, Backend, default_formats
from harness.spec.phone_settings import PhoneRunner
from harness.spec.profiles import ProfileName
from harness.spec.recipe import AS_IS
from harness.spec.spec import Spec
from harness.wire import Delegate, Format
from tests.artifacts.builders import CARD

READY = replace(CARD, name="given", kind=SourceKind.READY, ready=Format.TFLITE)


def plan(*models: ModelCard, **spec: Any) -> Plan:
    return make_plan(Spec(**spec), models or (CARD,), offer_of)


def test_the_default_is_every_format_and_variant_on_this_computer() -> None:
    made = plan()
    assert [(c.format, c.variant) for c in made.cells] == [(f, v) for f in default_formats() for v in Spec().variant]
    assert {(c.device, c.threads, c.profile) for c in made.cells} == {("host", 1, ProfileName.QUICK)}
    assert {c.format: c.delegate for c in made.cells} == {f: FORMATS[f].delegates[0] for f in default_formats()}
    assert made.holes == ()


def test_every_choice_is_crossed_and_every_key_is_unique() -> None:
    made = plan(
        CARD,
        replace(CARD, name="tiny-int8"),
        READY,
        device=("host", "fake", "fake:low"),
        delegate=tuple(d for d in Delegate if d is not Delegate.UNKNOWN),
        threads=(1, 2),
        profile=ProfileName.STANDARD,
    )
    keys = [cell.key for cell in made.cells] + [hole.cell.key for hole in made.holes]
    assert len(set(keys)) == len(keys) == 3 * (2 * 16 + 1) * 6 * 2
    assert all(c.profile is ProfileName.STANDARD for c in made.cells)


def test_a_key_says_what_the_cell_is() -> None:
    (cell,) = plan(device=("fake:low",), format=(Format.PTE,), variant=("int8",), threads=(4,)).cells
    assert cell.key == "tiny-int8-pte-xnnpack-t4-fake-low-quick"
    assert cell.build == Build(model="tiny", variant="int8", format=Format.PTE, backend=Backend.XNNPACK)


def test_two_numbers_of_threads_run_one_artifact() -> None:
    made = plan(format=(Format.ONNX,), variant=("fp32",), threads=(1, 4))
    assert [c.threads for c in made.cells] == [1, 4]
    assert len(made.builds) == 1


def test_the_delegate_decides_the_backend_of_pte_alone() -> None:
    made = plan(variant=("fp32",), delegate=(Delegate.XNNPACK, Delegate.CPU))
    backends = {(c.format, c.delegate): c.backend for c in made.cells}
    assert backends[Format.PTE, Delegate.XNNPACK] is Backend.XNNPACK
    assert backends[Format.PTE, Delegate.CPU] is Backend.PORTABLE
    assert {b for (f, _), b in backends.items() if f is not Format.PTE} == {None}
    assert [b.backend for b in made.builds if b.format is Format.PTE] == [Backend.XNNPACK, Backend.PORTABLE]
    assert len([b for b in made.builds if b.format is Format.TFLITE]) == 1


@pytest.mark.parametrize(
    ("format_", "delegate", "device", "reason"),
    [
        (Format.PTL, Delegate.GPU, "fake", "ptl has no delegate 'gpu' (it has: cpu)"),
        (Format.PTE, Delegate.NNAPI, "fake", "pte has no delegate 'nnapi' (it has: xnnpack, cpu, gpu, coreml)"),
        (Format.PTE, Delegate.GPU, "host", "pte has no delegate 'gpu' on device 'host' (it has: xnnpack, cpu)"),
        (Format.TFLITE, Delegate.NNAPI, "host", "device 'host' has no nnapi (it has: cpu, xnnpack, gpu)"),
        (Format.ONNX, Delegate.QNN, "host", "device 'host' has no qnn (it has: cpu, xnnpack, gpu)"),
        (Format.PTL, Delegate.QNN, "android:X", "ptl has no delegate 'qnn' (it has: cpu)"),
        (Format.TFLITE, Delegate.NNAPI, "fake:low", "device 'fake:low' has no nnapi (it has: cpu, xnnpack, gpu)"),
    ],
)
def test_what_does_not_combine_is_a_hole_with_a_reason(
    format_: Format, delegate: Delegate, device: str, reason: str
) -> None:
    made = plan(format=(format_,), variant=("fp32",), delegate=(delegate,), device=(device,))
    assert made.cells == ()
    assert [hole.reason for hole in made.holes] == [reason]
    assert made.builds == ()


def test_a_device_that_is_not_listed_is_asked_when_it_is_opened() -> None:
    made = plan(format=(Format.TFLITE,), delegate=(Delegate.NNAPI,), device=("android:X",))
    assert (len(made.cells), made.holes) == (4, ())


def test_a_ready_made_model_is_run_as_it_is() -> None:
    made = plan(READY, threads=(1, 2))
    assert made.builds == (Build(model="given", variant=AS_IS, format=Format.TFLITE, backend=None),)
    assert [c.key for c in made.cells] == [f"given-as-is-tflite-xnnpack-t{n}-host-quick" for n in (1, 2)]


def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match=r"two models are named 'tiny': rename one"):
        plan(CARD, replace(CARD, seed=1))


def test_a_format_without_a_program_is_a_hole_of_the_shell_runner() -> None:
    asked: dict[str, Any] = {
        "device": ("android",),
        "variant": ("fp32",),
        "runner": PhoneRunner.SHELL,
        "binary": ("executor_runner",),
    }
    made = plan(**asked)
    assert [cell.format for cell in made.cells] == [Format.PTE]
    assert {hole.reason for hole in made.holes} == {
        f"runner 'shell' has no program for {name}; it was given one for: pte" for name in ("tflite", "onnx", "ptl")
    }
    built = make_plan(Spec(**asked), (CARD,), None)
    assert built.holes == ()
