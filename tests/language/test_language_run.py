"""A language model from the command line to the report, generated and scored for real."""

from __future__ import annotations

import gzip
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.wire import decode_reply
from tests.conftest import call_phonebench
from tests.language.conftest import MODEL, NEW_TOKENS, PROMPTS, LanguageRun, copied

FILES = [("fp32", "genai"), ("int4", "genai")]


def replies(run: LanguageRun, cell: dict[str, Any]) -> list[Any]:
    """The replies of the launches of a cell."""
    (folder,) = (p for p in (run.home / "results").iterdir() if (p / "run.json").is_file())
    lines = [json.loads(line) for line in (folder / "measurements.jsonl").read_text().splitlines()]
    (measured,) = [line for line in lines if line["cell"] == cell["key"]]
    names = [launch["reply_sha256"] for launch in measured["launches"]]
    return [decode_reply(gzip.decompress(next(folder.rglob(f"{name}*")).read_bytes())) for name in names]


@pytest.mark.parametrize(("variant", "format_"), FILES)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_each_length_of_prompt_is_a_cell_with_figures_and_intervals(
    language_run: LanguageRun, variant: str, format_: str, prompt: int
) -> None:
    cell = language_run.cell(variant, format_, prompt)
    assert cell["status"] == "ok"
    generation = cell["generation"]
    assert (generation["prompt_tokens"], generation["tokens"]) == (prompt, NEW_TOKENS)
    for figure in ("ttft", "prefill", "decode"):
        values = generation[figure]
        assert values["low"] <= values["value"] <= values["high"]
        assert len(values["launches"]) == 2
        assert values["definition"]
    assert cell["key"].endswith(f"-p{prompt}-n{NEW_TOKENS}")


def test_the_figures_are_those_of_the_raw_times(language_run: LanguageRun) -> None:
    cell = language_run.cell("int4", "genai", 96)
    first, second = replies(language_run, cell)
    for at, reply in enumerate((first, second)):
        runs = reply.generation.measured
        ttft = np.median([one.tokens_ns[0] for one in runs])
        prefill = 96e9 / np.median([one.prefill_ns for one in runs])
        decode = np.median([(NEW_TOKENS - 1) * 1e9 / (one.tokens_ns[-1] - one.tokens_ns[0]) for one in runs])
        generation = cell["generation"]
        stored = [generation[name]["launches"][at] for name in ("ttft", "prefill", "decode")]
        assert stored == pytest.approx([ttft, prefill, decode])
        assert reply.latency.samples_ns == tuple(one.tokens_ns[-1] for one in runs)


def test_the_first_call_of_a_process_is_apart(language_run: LanguageRun) -> None:
    cell = language_run.cell("fp32", "genai")
    firsts = [reply.generation.first.tokens_ns[0] for reply in replies(language_run, cell)]
    assert min(firsts) <= cell["generation"]["first_ttft_ns"] <= max(firsts)


def test_perplexity_and_agreement_are_those_of_transformers(language_run: LanguageRun) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    tokens = language_run.prepared().test_inputs()[0]
    network = transformers.AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
    losses = []
    with torch.no_grad():
        for row in tokens:
            ids = torch.from_numpy(row.astype(np.int64))[None]
            losses.append(network(input_ids=ids, labels=ids).loss.item())
    # The loss of transformers is the mean over all tokens of a row but the first.
    expected = math.exp(sum(losses) / len(losses))
    language = language_run.cell("fp32", "genai")["language"]
    assert language["float_perplexity"] == pytest.approx(expected, rel=1e-4)
    assert language["perplexity"] == pytest.approx(expected, rel=1e-3)
    assert language["agreement"] > 0.999
    assert language["tokens"] == tokens.size - len(tokens)


def test_the_model_is_far_from_knowing_nothing_and_int4_is_near_the_float_model(language_run: LanguageRun) -> None:
    language = language_run.cell("int4", "genai")["language"]
    assert language["float_perplexity"] < 1024 / 10
    assert 1 < language["perplexity"] / language["float_perplexity"] < 1.1
    assert 0.8 < language["agreement"] < 1


def test_the_cache_of_keys_and_values_grows_with_the_tokens(language_run: LanguageRun) -> None:
    sizes = [language_run.cell("fp32", "genai", prompt)["generation"]["kv_cache_bytes"] for prompt in PROMPTS]
    # Two kinds, 3 layers, 2 heads of 64 numbers, 4 bytes each.
    assert sizes == [2 * 3 * 2 * 64 * 4 * (prompt + NEW_TOKENS) for prompt in PROMPTS]


def test_the_report_shows_rates_definitions_and_the_first_call(language_run: LanguageRun) -> None:
    shown = call_phonebench("show", cwd=language_run.home)
    for word in ("prefill tok/s", "decode tok/s", "first token", "perplexity", "Time to first token:"):
        assert word in shown.out
    (page,) = (language_run.home / "results").glob("*/report.html")
    html = page.read_text()
    assert '<table id="language">' in html
    assert "first call: first token" in html


def test_a_built_folder_is_measured_unchanged_as_a_ready_made_one(language_run: LanguageRun) -> None:
    folder = language_run.artifact("int4", "genai").parent
    ready = language_run.home / "ready"
    ready.mkdir(exist_ok=True)
    for file in folder.iterdir():
        if file.name != "manifest.json":
            (ready / file.name).write_bytes(file.read_bytes())
    command = ("run", str(ready), "--prompt", "24", "--new-tokens", "4", "--cache-dir", "cache", "--results", "again")
    ran = call_phonebench(*command, "--data", str(MODEL / "test.txt"), "--json", cwd=language_run.home)
    assert ran.code == 0, ran.err
    (cell,) = ran.json()["cells"]
    assert (cell["variant"], cell["status"]) == ("as-is", "ok")
    own = language_run.cell("int4", "genai")["language"]
    assert cell["language"]["perplexity"] == pytest.approx(own["perplexity"], rel=1e-6)
    assert cell["language"]["float_perplexity"] is None


def test_questions_are_answered_by_likelihood(language_run: LanguageRun, tmp_path: Path) -> None:
    questions = tmp_path / "questions.jsonl"
    lines = [
        {"question": "If the object is not", "choices": ["callable,", "zebra violin"], "answer": 0},
        {"question": "Return", "choices": ["kqxz", "the"], "answer": 1},
        {"question": "raises", "choices": ["ValueError", "the banana"], "answer": 1},
        # Longer than a row of text, which stays as long as without it.
        {"question": "the " * 250, "choices": ["the", "banana violin"], "answer": 0},
    ]
    questions.write_text("\n".join(map(json.dumps, lines)))
    command = ("run", str(MODEL), "--format", "genai", "--variant", "fp32", "--prompt", "8", "--new-tokens", "2")
    places = ("--cache-dir", str(language_run.home / "cache"), "--results", str(tmp_path / "results"))
    ran = call_phonebench(*command, *places, "--data", str(questions), "--json", cwd=tmp_path)
    assert ran.code == 0, ran.err
    (cell,) = ran.json()["cells"]
    accuracy = cell["accuracy"]
    assert (accuracy["metric"], accuracy["count"], accuracy["correct"]) == ("multiple choice", 4, 3)
    same = language_run.cell("fp32", "genai")["language"]
    assert cell["language"]["tokens"] == same["tokens"]
    assert cell["language"]["float_perplexity"] == pytest.approx(same["float_perplexity"], rel=1e-5)


def test_an_interrupted_run_resumes_with_the_cells_that_are_missing(language_run: LanguageRun) -> None:
    (source,) = (p for p in (language_run.home / "results").iterdir() if (p / "run.json").is_file())
    folder = language_run.home / "resumed" / source.name
    shutil.copytree(source, folder)
    file = folder / "measurements.jsonl"
    before = file.read_text().splitlines(keepends=True)
    # As a kill leaves it: one cell is whole, and the next was cut off.
    file.write_text("".join(before[:-1]) + before[-1][:200])
    command = ("run", "--resume", source.name, "--results", "resumed", "--cache-dir", "cache", "--json")
    ran = call_phonebench(*command, cwd=language_run.home)
    assert ran.code == 0, ran.err
    after = file.read_text().splitlines(keepends=True)
    assert after[: len(before) - 1] == before[:-1]
    cells = ran.json()["cells"]
    assert [cell["key"] for cell in cells] == [cell["key"] for cell in language_run.cells]
    assert {cell["status"] for cell in cells} == {"ok"}


def test_a_tokenizer_that_does_not_fit_costs_this_model_only(tmp_path: Path, language_run: LanguageRun) -> None:
    folder = copied(tmp_path)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    # Every id is a thousand higher, as in the tokenizer of a larger model.
    tokenizer["model"]["vocab"] = {word: at + 1000 for word, at in tokenizer["model"]["vocab"].items()}
    tokenizer["added_tokens"] = []
    tokenizer["post_processor"] = None
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    command = ("run", str(folder), str(MODEL), "--format", "genai", "--variant", "fp32", "--prompt", "8")
    places = ("--cache-dir", str(language_run.home / "cache"), "--results", str(tmp_path / "results"))
    ran = call_phonebench(*command, "--new-tokens", "4", *places, "--json", cwd=tmp_path)
    cells = {cell["model"]: cell for cell in ran.json()["cells"]}
    assert cells["tiny_llama"]["status"] == "ok"
    assert cells["model"]["status"] == "failed"
    assert "it belongs to another model" in cells["model"]["reason"]
