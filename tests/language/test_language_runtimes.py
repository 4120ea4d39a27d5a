"""Other runtimes of language models, on a model of one layer that is lowered in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.readers.gguf import read_gguf_header
from harness.runners.host.runtimes.language import LanguageSession
from harness.runners.host.runtimes.registry import open_language
from harness.runners.host.runtimes.session import SessionError
from harness.wire import Delegate, Format, RuntimeRequest
from tests.conftest import call_phonebench
from tests.language.conftest import LanguageRun, small_model

CONTEXT = 128
# The packages that are loaded here warn of their own ways.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> LanguageRun:
    home = tmp_path_factory.mktemp("small")
    folder = small_model(home / "small")
    command = ("run", str(folder), "--format", "pte,gguf", "--variant", "8da4w,int8-weight", "--prompt", "20,120")
    ran = call_phonebench(*command, "--new-tokens", "8", "--cache-dir", "cache", cwd=home)
    assert ran.code == 0, ran.err
    return LanguageRun(home=home, cells=call_phonebench("show", "--json", cwd=home).json()["cells"])


@pytest.fixture(scope="module")
def program(small_run: LanguageRun) -> LanguageSession:
    """The built program, loaded in the runner's own runtime."""
    request = RuntimeRequest(delegate=Delegate.XNNPACK, threads=1)
    return open_language(small_run.artifact("8da4w", "pte"), request, Format.PTE)


def test_executorch_generates_and_scores(small_run: LanguageRun) -> None:
    cell = small_run.cell("8da4w", "pte", 20)
    assert cell["status"] == "ok"
    generation = cell["generation"]
    assert (generation["prompt_tokens"], generation["tokens"], generation["context_tokens"]) == (20, 8, CONTEXT)
    assert cell["language"]["perplexity"] == pytest.approx(cell["language"]["float_perplexity"], rel=0.1)
    assert cell["runtime"]["name"] == "executorch"


def test_llama_cpp_generates_and_scores(small_run: LanguageRun) -> None:
    cell = small_run.cell("int8-weight", "gguf", 20)
    assert cell["status"] == "ok"
    assert (cell["generation"]["tokens"], cell["generation"]["context_tokens"]) == (8, CONTEXT)
    assert cell["language"]["perplexity"] == pytest.approx(cell["language"]["float_perplexity"], rel=0.02)
    assert cell["runtime"]["name"] == "llama.cpp"


def test_a_header_of_gguf_is_read_without_its_package(small_run: LanguageRun) -> None:
    header = read_gguf_header(small_run.artifact("int8-weight", "gguf"))
    assert (header["general.architecture"], header["llama.context_length"]) == ("llama", CONTEXT)
    assert header["tokenizer.ggml.tokens"] == 1024


@pytest.mark.parametrize("data", [b"", b"GGUF", b"GGUF" + bytes(20), b"ONNX" + bytes(60)])
def test_a_damaged_gguf_is_refused_in_a_sentence(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "net.gguf"
    path.write_bytes(data)
    with pytest.raises(SessionError, match=r"net\.gguf"):
        open_language(path, RuntimeRequest(delegate=Delegate.CPU, threads=1), Format.GGUF)


def test_a_prompt_that_fills_the_context_runs_to_its_end(small_run: LanguageRun) -> None:
    generation = small_run.cell("8da4w", "pte", 120)["generation"]
    assert (generation["tokens"], generation["endings"]) == (8, ["length"])


def test_the_cache_of_a_program_has_its_full_size(small_run: LanguageRun) -> None:
    # Keys and values of one layer, one head of 32 numbers, 128 places, 4 bytes each.
    assert small_run.cell("8da4w", "pte", 20)["generation"]["kv_cache_bytes"] == 2 * 32 * CONTEXT * 4


def test_likelihoods_are_those_of_a_loop_over_the_program(small_run: LanguageRun, program: LanguageSession) -> None:
    torch = pytest.importorskip("torch")
    row = small_run_tokens(small_run)[:24]
    method = program._method  # type: ignore[attr-defined]
    expected = []
    for place, token in enumerate(row[:-1]):
        logits = method.call([torch.tensor([[token]]), torch.tensor([place])], False)[0].double()
        expected.append(-torch.log_softmax(logits.reshape(-1), 0)[row[place + 1]].item())
    nll, _ = program.score(row)
    assert nll.tolist() == pytest.approx(expected, rel=1e-5)


def test_a_generation_does_not_remember_the_one_before(program: LanguageSession) -> None:
    first = program.score([0, 5, 9, 14])[0]
    program.generate([0, *range(30, 90)], 4)
    assert np.array_equal(program.score([0, 5, 9, 14])[0], first)


def test_a_program_of_another_network_is_no_language_model(tmp_path: Path) -> None:
    path = tmp_path / "net.pte"
    path.write_bytes(b"0000ET12" + bytes(64))
    with pytest.raises(SessionError):
        open_language(path, RuntimeRequest(delegate=Delegate.XNNPACK, threads=1), Format.PTE)


def small_run_tokens(run: LanguageRun) -> list[int]:
    """The first row of tokens that the run scored."""
    (file,) = (run.home / "cache" / "prepared").glob("*/*/inputs.bin")
    return [int(token) for token in np.fromfile(file, dtype="<i4")[:CONTEXT]]
