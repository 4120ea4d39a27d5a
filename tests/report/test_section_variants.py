"""How each variant was made, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.records.steps import Figure, StepReport
from harness.report.formats.json import show_json
from harness.report.formats.terminal import run_lines
from harness.report.sections.variants import VariantRow, variant_rows
from harness.report.step_words import _PAIRED, _WORDS, count, step_words
from harness.report.view import cell_views
from tests.report.builders import DELEGATE, page_of, unstyled
from tests.report.wide import PRUNE, RECIPES, STEPS, like_samples, wide_run


def row_of(variant: str) -> VariantRow:
    run = wide_run()
    return next(row for row in variant_rows(cell_views(run), run.head.spec.recipes()) if row.variant == variant)


def test_every_figure_has_words() -> None:
    assert set(_WORDS) | set(_PAIRED) == set(Figure)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (PRUNE, "channels 376 → 192"),
        (PRUNE, "parameters 29.7\u202fk → 8.20\u202fk, MACs 700\u202fk → 190\u202fk"),
        (PRUNE, "trained 12 epochs (6 s, stopped early), 41.0\u202f% → 99.2\u202f%"),
        (STEPS["sparse80"], "80.0\u202f% of the weights are zero"),
        (STEPS["distill+int8"], "the same student without a teacher 97.8\u202f%"),
        (StepReport(step="fuse", parameters_before=9, parameters_after=9), "fuse"),
    ],
)
def test_a_step_is_worded_in_one_line(step: StepReport, words: str) -> None:
    assert words in step_words(step)


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (940, "940"), (4_650_000, "4.65\u202fM"), (1.2e9, "1.20\u202fG")]
)
def test_counts_are_short(value: float | None, text: str) -> None:
    assert count(value) == text


def test_a_variant_has_one_row_whatever_its_formats() -> None:
    run = wide_run()
    table = variant_rows(cell_views(run), run.head.spec.recipes())
    assert [row.variant for row in table] == [recipe.name for recipe in RECIPES]
    row = row_of("prune50+int8")
    assert (row.parameters, row.macs) == ("8.20\u202fk (0.28×)", "190\u202fk (0.27×)")
    assert row.words[-1].startswith("int8, per channel, histogram observer")
    assert set(row.packed_bytes) == set(DELEGATE)


def test_notes_name_layers_in_float_and_steps_without_fine_tuning() -> None:
    assert row_of("int8-mixed").notes == ("in float: features.1.0.0",)
    assert row_of("untrained").notes == ("fine_tune = false: not fine-tuned after prune",)
    assert "distill: the student is the model pruned by 0.5" in row_of("distill+int8").notes


def test_doing_without_data_is_compared_with_the_same_recipe_with_data() -> None:
    run = wide_run()
    worse = tuple(
        replace(m, fidelity=replace(m.fidelity, sqnr_db=m.fidelity.sqnr_db - 6))
        if "datafree-onnx" in m.cell and m.fidelity
        else m
        for m in run.measurements
    )
    rows = variant_rows(cell_views(replace(run, measurements=worse)), run.head.spec.recipes())
    notes = next(row for row in rows if row.variant == "int8-datafree").notes
    assert "onnx -6.0 dB SQNR, +0.0 pp accuracy" in notes[0]
    alone = wide_run(recipes=tuple(r for r in RECIPES if r.name not in ("int8", "int8-histogram")))
    assert "is not in this run" in variant_rows(cell_views(alone), alone.head.spec.recipes())[4].notes[0]


def test_doing_without_data_is_compared_within_one_format() -> None:
    run = wide_run()
    # Only the .onnx that was calibrated on data is better.
    better = tuple(
        replace(m, fidelity=replace(m.fidelity, sqnr_db=m.fidelity.sqnr_db + 4))
        if "-int8-onnx" in m.cell and m.fidelity
        else m
        for m in run.measurements
    )
    rows = variant_rows(cell_views(replace(run, measurements=better)), run.head.spec.recipes())
    note = next(row for row in rows if row.variant == "int8-datafree").notes[0]
    assert "onnx -4.0 dB SQNR" in note
    assert note.count("-4.0 dB") == 1


def test_it_is_on_the_page_and_in_the_terminal() -> None:
    run = wide_run()
    page = page_of(run, like_samples(run))
    assert "How the variants were made" in page
    assert page.count("layer by layer (8)") == 5
    lines = [unstyled(line) for line in run_lines(run, None)]
    assert any(text.startswith("prune50: prune: channels 376 → 192") for text in lines)
    assert not any(text.startswith("fp16:") for text in lines)


def test_json_has_what_was_done() -> None:
    cell = next(c for c in show_json(wide_run())["cells"] if c["variant"] == "prune50")
    artifact = cell["artifact"]
    assert (artifact["parameters"], artifact["macs"], artifact["own_sqnr_db"]) == (8_200, 190_000, 31.0)
    assert artifact["steps"][0]["training"]["score_after"] == 0.992
    assert artifact["steps"][0]["figures"] == {"channels-before": 376, "channels-after": 192}
