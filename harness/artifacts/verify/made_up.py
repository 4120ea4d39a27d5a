"""What to say of a ready-made file that fails on made-up inputs: it may only need values that noise does not have."""

from __future__ import annotations

from harness.artifacts.sources.prepared_model import Prepared
from harness.wire import TensorSpec, input_text


def other_values(facts: Prepared, failure: str) -> str:
    """Return the reason for ``failure`` on made-up inputs, with the options that give the file other values.

    An index may have to lie within a table, and a number may be a size or a number of repetitions.
    """
    options = " ".join(f"--input {input_text(spec)}:LOW..HIGH" for spec in _likely(facts.inputs))
    return (
        f"it does not run on made-up inputs, which may only need other values: {failure}. Give data (--data), or the "
        f"range of its values: {options}"
    )


def _likely(specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    """The inputs whose values most likely matter: integers, if there are any."""
    return tuple(spec for spec in specs if spec.dtype.value.startswith(("int", "uint"))) or specs
