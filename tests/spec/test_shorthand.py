"""Short names of recipes: every word makes its step or precision, and impossible combinations are refused."""

from __future__ import annotations

import msgspec
import pytest

from harness.errors import UnknownNameError, UsageError
from harness.spec.read import read_recipe
from harness.spec.recipe import (
    CalibrationFrom,
    Cluster,
    Equalise,
    Fuse,
    KeepFloat,
    LowRank,
    Observer,
    Precision,
    Prune,
    Qat,
    Recipe,
    Sparsify,
    Step,
)
from harness.spec.shorthand import WORDS, parse_recipe, recipe_values, recipes_of


@pytest.mark.parametrize(
    ("name", "steps", "precision"),
    [
        ("fp32", (), Precision.FP32),
        ("prune50", (Prune(ratio=0.5),), Precision.FP32),
        ("prune50+int8", (Prune(ratio=0.5),), Precision.INT8),
        ("fuse+low-rank25", (Fuse(), LowRank(ratio=0.25)), Precision.FP32),
        ("energy90", (LowRank(energy=0.9),), Precision.FP32),
        ("cluster16+fp16", (Cluster(clusters=16),), Precision.FP16),
        ("surgery80", (Sparsify(ratio=0.8, dynamic=True),), Precision.FP32),
        ("qat-int8", (Qat(),), Precision.INT8),
        ("int8-equalised", (Equalise(),), Precision.INT8),
        ("int16x8-equalised", (Equalise(),), Precision.INT16X8),
        ("fuse+qat-int8-equalised", (Fuse(), Equalise(), Qat()), Precision.INT8),
        ("int8-equalised-datafree", (Equalise(calibration=CalibrationFrom.BATCH_NORM),), Precision.INT8),
        ("int8-range-equalised", (Equalise(calibration=CalibrationFrom.RANGE),), Precision.INT8),
        ("prune50+qat-int8", (Prune(ratio=0.5), Qat()), Precision.INT8),
    ],
)
def test_words_are_steps_in_order_then_a_precision(name: str, steps: tuple[Step, ...], precision: Precision) -> None:
    found = parse_recipe(name)
    assert (found.name, found.steps, found.precision) == (name, steps, precision)


def test_knobs_come_after_the_precision() -> None:
    found = parse_recipe("int8-tensor-histogram-datafree-mixed").quantisation
    assert (found.per_channel, found.observer) == (False, Observer.HISTOGRAM)
    assert (found.calibration, found.keep_float) == (CalibrationFrom.BATCH_NORM, KeepFloat(share=0.1))


def test_equalising_leaves_the_other_options_of_the_quantiser() -> None:
    assert parse_recipe("int8-tensor-equalised-minmax").quantisation == parse_recipe("int8-tensor-minmax").quantisation


def test_a_whole_half_model_and_channels_last() -> None:
    assert parse_recipe("fp16-whole").float_io is False
    assert parse_recipe("fp16").float_io is True
    assert parse_recipe("int8+nhwc").channel_last is True


@pytest.mark.parametrize("word", WORDS)
def test_every_word_that_is_listed_can_be_written(word: str) -> None:
    assert parse_recipe(word).name == word


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("int8+fp16", "variant 'int8+fp16' has two precisions, 'int8' and 'fp16': give at most one"),
        ("int8+prune50", "steps come first, the precision last"),
        ("prune150", "variant 'prune150': ratio is 1.5: it must be between 0 and 1"),
        ("prune0", "ratio is 0: it must be between 0 and 1"),
        ("cluster1", "clusters is 1: it must be from 2 to 4096"),
    ],
)
def test_what_cannot_be_is_refused_with_what_is_allowed(name: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_recipe(name)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["int9", "int8-histogran", "prune", "", "fp32+", "nhwc8"])
def test_a_word_that_is_none_is_refused_with_the_nearest(name: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown variant"):
        parse_recipe(name)


@pytest.mark.parametrize("name", [*WORDS, "prune50+int8-mixed"])
def test_a_recipe_comes_back_from_its_plain_values(name: str) -> None:
    made = parse_recipe(name)
    assert read_recipe(msgspec.toml.decode(msgspec.toml.encode(recipe_values(made))), where="here") == made


def test_a_recipe_of_the_spec_comes_before_a_word() -> None:
    own = Recipe(name="int8", precision=Precision.FP16)
    assert recipes_of(["int8", "fp32"], [own])["int8"] is own
