"""LiteRT-LM on a model of one layer: it takes text, so what matters is which tokens it made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.readers.litertlm import read_litertlm
from harness.runners.host.runtimes.language import LanguageSession
from harness.runners.host.runtimes.registry import open_language
from harness.runners.host.runtimes.session import SessionError
from harness.wire import Delegate, Ending, Format, RuntimeRequest
from tests.conftest import call_phonebench
from tests.language.conftest import LanguageRun, small_model

CONTEXT, PROMPT, NEW = 128, 20, 8
CPU = RuntimeRequest(delegate=Delegate.CPU, threads=1)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> LanguageRun:
    pytest.importorskip("litert_lm")
    pytest.importorskip("litert_torch")
    home = tmp_path_factory.mktemp("litertlm")
    folder = small_model(home / "small")
    lengths = ("--prompt", str(PROMPT), "--new-tokens", str(NEW))
    ran = call_phonebench(
        "run", str(folder), "--format", "litertlm", "--variant", "fp32", *lengths, "--cache-dir", "cache", cwd=home
    )
    assert ran.code == 0, ran.err
    return LanguageRun(home=home, cells=call_phonebench("show", "--json", cwd=home).json()["cells"])


@pytest.fixture(scope="module")
def session(built: LanguageRun) -> LanguageSession:
    return open_language(built.artifact("fp32", "litertlm"), CPU, Format.LITERTLM)


def test_a_folder_is_built_generates_and_scores(built: LanguageRun) -> None:
    cell = built.cell("fp32", "litertlm", PROMPT)
    assert cell["status"] == "ok"
    generation, quality = cell["generation"], cell["language"]
    assert (generation["prompt_tokens"], generation["tokens"], generation["context_tokens"]) == (PROMPT, NEW, CONTEXT)
    assert "tokenising is in it" in generation["ttft"]["definition"]
    # Keys and values of one layer, one head of 32 numbers, 128 places, 4 bytes each.
    assert generation["kv_cache_bytes"] == 2 * 32 * CONTEXT * 4
    assert quality["perplexity"] == pytest.approx(quality["float_perplexity"], rel=1e-4)
    assert quality["agreement"] is None
    assert cell["runtime"]["name"] == "litert-lm"
    # The cache of packed weights is off.
    assert {path.name for path in built.artifact("fp32", "litertlm").parent.iterdir()} >= {"model.litertlm"}
    assert not [path for path in built.home.rglob("*") if "xnnpack_cache" in path.name]


def test_likelihoods_are_those_of_transformers(built: LanguageRun, session: LanguageSession) -> None:
    row = [0, *tokenizer(built)("The socket is closed, and a list of names follows.")["input_ids"]]
    nll, top1 = session.score(row)
    assert nll.tolist() == pytest.approx(expected_nll(built, row), abs=1e-3)
    assert set(top1.tolist()) == {-1}


def test_a_row_that_ends_within_a_character_is_scored_up_to_it(built: LanguageRun, session: LanguageSession) -> None:
    whole = tokenizer(built)("The socket is 日")["input_ids"]
    row = [0, *whole[:-1]]
    nll, _ = session.score(row)
    scored = int(np.count_nonzero(~np.isnan(nll)))
    assert 0 < scored < len(nll)
    assert np.isnan(nll[scored:]).all()
    assert nll[:scored].tolist() == pytest.approx(expected_nll(built, row)[:scored], abs=1e-3)


def test_a_row_as_long_as_the_context_loses_its_last_token(built: LanguageRun, session: LanguageSession) -> None:
    text = (built.home / "small" / "test.txt").read_text()
    row = [0, *tokenizer(built)(text)["input_ids"]][:CONTEXT]
    nll, _ = session.score(row)
    assert np.isnan(nll).tolist() == [False] * (CONTEXT - 2) + [True]


@pytest.mark.parametrize("prompt", [list(range(96, 140)), [0, *range(150, 190)], [7], [0]], ids=str)
def test_tokens_that_no_text_gives_become_english_of_as_many(prompt: list[int], session: LanguageSession) -> None:
    # The runner fails a generation whose prompt the runtime counted differently.
    one = session.generate(prompt, 4)
    assert (one.tokens, one.ended, len(one.tokens_ns) <= 4) == (4, Ending.LENGTH, True)
    assert one.prefill_ns is not None
    assert 0 < one.prefill_ns < one.tokens_ns[0]


def test_a_generation_that_fills_the_context_says_so(session: LanguageSession) -> None:
    one = session.generate([0] * (CONTEXT - 4), 8)
    assert (one.tokens, one.ended) == (4, Ending.CONTEXT)


def test_a_file_without_its_end_is_refused_before_the_library_aborts(built: LanguageRun, tmp_path: Path) -> None:
    data = built.artifact("fp32", "litertlm").read_bytes()
    for name, content in {
        "cut": data[:5000],
        "half": data[: len(data) // 2],
        "text": b"hello" * 20,
        "none": b"",
    }.items():
        path = tmp_path / f"{name}.litertlm"
        path.write_bytes(content)
        with pytest.raises(SessionError, match=rf"{name}\.litertlm"):
            open_language(path, CPU, Format.LITERTLM)


def test_a_file_says_its_context_vocabulary_and_cache(built: LanguageRun) -> None:
    facts = read_litertlm(built.artifact("fp32", "litertlm"))
    assert (facts.context, facts.vocabulary, facts.cache_bytes) == (CONTEXT, 1024, 2 * 32 * CONTEXT * 4)


def tokenizer(built: LanguageRun) -> Any:
    transformers = pytest.importorskip("transformers")
    return lambda text: transformers.AutoTokenizer.from_pretrained(built.home / "small")(text, add_special_tokens=False)


def expected_nll(built: LanguageRun, row: list[int]) -> list[float]:
    """The likelihoods by the float network itself."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    network = transformers.AutoModelForCausalLM.from_pretrained(built.home / "small", dtype=torch.float32)
    with torch.no_grad():
        likelihoods = torch.log_softmax(network(torch.tensor([row])).logits[0].double(), -1)
    return [-likelihoods[at, token].item() for at, token in enumerate(row[1:])]
