"""A prepared model: its inputs, labels and the float network's outputs, stored so that later runs need no torch.

Its key comes from `harness.model.source_key`, which is cheap to compute. The entry holds the digests that the keys of
artifacts are made from.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from harness.artifacts.manifest import check_files, read_record
from harness.model.card import ModelCard
from harness.wire import INPUTS_FILE, TensorSpec

if TYPE_CHECKING:
    from harness.model.truth import Truth
    from harness.wire.tensors import Array

# 4 (2026-11): what was found out about the network: ordered, hints.
# 3 (2026-11): labels of any shape, float_answers. 2 (2026-11): macs. 1 (2026-11): the first version.
SCHEMA = 4

PREPARED_FILE = "prepared.json"
CALIBRATION_FILE = "calibration.bin"
REFERENCE_FILE = "reference.bin"
LABELS_FILE = "labels.npy"
# What the card's metric compares outputs with: one of the two. Texts and boxes do not fit into an array.
TRUTH_ARRAY_FILE, TRUTH_FILE = "truth.npy", "truth.json"
GROUPS_FILE = "groups.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One answer to a multiple-choice question: its tokens are ``begin`` to ``end`` (exclusive) of input ``row``."""

    row: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A multiple-choice question: its answers, and the index of the right one."""

    choices: tuple[Choice, ...]
    answer: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedLanguage:
    """The inputs of a language model: rows of token ids, first ``windows`` rows of text, then the questions.

    ``window_tokens``: how many tokens of a row are text, None for all of them; a long question makes rows longer.
    ``real_text``: the text is a text, and not tokens drawn at random. ``vocabulary``: the number of tokens.
    ``cached_per_token``: the numbers that the cache of keys and values holds per token; None if not known.
    ``prompt_words``: words of which any number, joined by spaces, has as many tokens; empty without a tokenizer.
    """

    windows: int
    real_text: bool
    vocabulary: int
    questions: tuple[Question, ...] = ()
    cached_per_token: int | None = None
    prompt_words: tuple[str, ...] = ()
    window_tokens: int | None = None

    @property
    def text(self) -> tuple[slice, slice]:
        """Where the likelihoods of the text are, in an array of shape (rows, tokens - 1)."""
        return slice(self.windows), slice(None if self.window_tokens is None else self.window_tokens - 1)

    def prompt_text(self, tokens: int) -> str:
        """Return a text of ``tokens`` tokens, empty if there are no words for it."""
        return " ".join(islice(cycle(self.prompt_words), tokens))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What is known about a model once it has been loaded.

    ``outputs`` are the float network's; a ready-made file has no float network, so none. ``random_inputs``: the model
    has no data, and the inputs are seeded noise. ``parameters`` counts the trainable numbers, and ``macs`` the
    multiply-accumulates of one call, None if they cannot be counted. ``float_correct`` of ``float_answers`` answers of
    the float network are right, None without labels. ``ordered`` names the outputs that were picked in an order, and
    ``hints`` are sentences about what files of this network may not follow. ``branches``: where in the user's code a
    value is read that Python may decide by. ``tied`` has the number of elements of each weight with several names.
    ``unstable``: the share (0…1) of inputs for which rounding alone changes the outputs by much. ``untrained``: the
    factory gives weights as initialised, although nobody asked for random weights.
    ``files`` has the SHA-256 of every file of the entry except this record. ``language``: set for language models.
    """

    schema: int = SCHEMA
    key: str
    model: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    weights_sha256: str
    data_sha256: str
    calibration_sha256: str
    test_count: int
    calibration_count: int
    labelled: bool
    random_inputs: bool
    random_calibration: bool
    parameters: int | None
    macs: int | None = None
    float_correct: int | None
    float_answers: int | None = None
    ordered: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    tied: dict[str, int] = field(default_factory=dict)
    untrained: bool = False
    unstable: float = 0.0
    files: dict[str, str] = field(default_factory=dict)
    language: PreparedLanguage | None = None


def as_prepared(card: ModelCard, model: PreparedModel | None) -> ModelCard:
    """Return ``card`` with random weights if its factory turned out to give an untrained network."""
    return replace(card, random_weights=True) if model is not None and model.facts.untrained else card


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedModel:
    """A `Prepared` record and the folder of its arrays."""

    facts: Prepared
    folder: Path

    @property
    def inputs_path(self) -> Path:
        """The test inputs, in the layout of the wire."""
        return self.folder / INPUTS_FILE

    def test_inputs(self) -> tuple[Array, ...]:
        """Return the test inputs, one array per tensor, of shape ``(count, *TensorSpec.shape)``."""
        from harness.wire.tensors import read_tensors

        return read_tensors(self.inputs_path, self.facts.inputs, self.facts.test_count)

    def calibration_inputs(self) -> tuple[Array, ...]:
        """Return the calibration inputs, in the same shapes as the test inputs."""
        from harness.wire.tensors import read_tensors

        return read_tensors(self.folder / CALIBRATION_FILE, self.facts.inputs, self.facts.calibration_count)

    def reference(self) -> tuple[Array, ...] | None:
        """Return the float network's outputs on the test inputs, or None for a ready-made file."""
        from harness.wire.tensors import read_tensors

        if not self.facts.outputs:
            return None
        return read_tensors(self.folder / REFERENCE_FILE, self.facts.outputs, self.facts.test_count)

    def has_infinities(self) -> bool:
        """Return whether an output of the float network is infinite or NaN on a test input."""
        import numpy as np

        floats = (output for output in self.reference() or () if output.dtype.kind == "f")
        return any(not np.isfinite(output).all() for output in floats)

    def labels(self) -> Array | None:
        """Return the class indices, int64, shape ``(count, *answers of one call)``; None without labels."""
        import numpy as np

        if not self.facts.labelled:
            return None
        labels: Array = np.load(self.folder / LABELS_FILE, allow_pickle=False)
        return labels

    def truth(self) -> Truth | None:
        """Return the labels as the data have them, for the card's metric; None if no metric needs them."""
        import numpy as np

        if (array := self.folder / TRUTH_ARRAY_FILE).is_file():
            return np.asarray(np.load(array, allow_pickle=False))
        if not (file := self.folder / TRUTH_FILE).is_file():
            return None
        return tuple(msgspec.json.decode(file.read_bytes(), type=list[object]))

    def groups(self) -> tuple[str, ...] | None:
        """Return the name of each test input's group; None if the data name none."""
        file = self.folder / GROUPS_FILE
        return tuple(msgspec.json.decode(file.read_bytes(), type=list[str])) if file.is_file() else None

    def labels_shape(self) -> tuple[int, ...] | None:
        """Return the shape of the labels of one call; None without labels."""
        import numpy as np

        if not self.facts.labelled:
            return None
        # Only the header is read.
        shape: tuple[int, ...] = np.load(self.folder / LABELS_FILE, mmap_mode="r", allow_pickle=False).shape
        return shape[1:]


def read_prepared(folder: Path) -> PreparedModel:
    """Read an entry. Raises `ValueError` if it is damaged or has another schema."""
    facts = read_record(folder / PREPARED_FILE, Prepared, SCHEMA)
    digests = {INPUTS_FILE: facts.data_sha256, CALIBRATION_FILE: facts.calibration_sha256}
    check_files(folder, facts.files | digests)
    return PreparedModel(facts=facts, folder=folder)
