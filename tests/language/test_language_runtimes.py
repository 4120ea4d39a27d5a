"""Other runtimes of language models, on a model of one layer that is lowered in seconds."""

from __future__ import annotations

import struct
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest

from harness.model.language import read_ready
from harness.readers.gguf import read_gguf_header
from harness.runners.host.job import run_job
from harness.runners.host.runtimes.language import LanguageSession
from harness.runners.host.runtimes.registry import open_language
from harness.runners.host.runtimes.session import SessionError
from harness.system.files import file_sha256
from harness.wire import (
    INPUTS_FILE,
    REQUEST_FILE,
    ArtifactRef,
    Delegate,
    DType,
    EnergyPass,
    Format,
    GeneratePass,
    InputsRef,
    MeasurePass,
    Passes,
    RunRequest,
    RuntimeRequest,
    TensorSpec,
    WarmupPass,
    encode,
)
from tests.conftest import MISSING, call_phonebench
from tests.language.conftest import MODEL, LanguageRun, small_model
from tests.vphone.apkmaker import ApkMaker, ApkPlan
from tests.vphone.apps import Program
from tests.vphone.fixtures import need_phone
from tests.vphone.packages import InstallOptions
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import Adb, AdbServer, adb_binary

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


def test_a_list_of_heads_is_no_number_of_heads(tmp_path: Path) -> None:
    # As in hybrid models, where some layers have no attention.
    numbers = {"x.block_count": 2, "x.embedding_length": 64, "x.attention.head_count": 4, "x.context_length": 512}
    pairs = [gguf_text(b"general.architecture") + struct.pack("<I", 8) + gguf_text(b"x")]
    pairs += [gguf_text(name.encode()) + struct.pack("<II", 4, value) for name, value in numbers.items()]
    plain, path = len(pairs), tmp_path / "net.gguf"
    pairs.append(gguf_text(b"x.attention.head_count_kv") + struct.pack("<IIQII", 9, 4, 2, 1, 0))
    for count, cached in ((plain, 2 * 2 * 4 * 16), (plain + 1, None)):
        path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, count) + b"".join(pairs[:count]))
        facts = read_ready(path, Format.GGUF)
        assert facts is not None
        assert (facts.context, facts.cached_per_token) == (512, cached)


def test_a_header_of_nested_lists_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.gguf"
    lists = struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 5000
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + gguf_text(b"x") + lists)
    with pytest.raises(ValueError, match="a list of lists"):
        read_gguf_header(path)


def gguf_text(data: bytes) -> bytes:
    """A text as it is in a header."""
    return struct.pack("<Q", len(data)) + data


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


def test_an_idle_block_comes_before_the_generations_and_their_tokens_are_counted(
    small_run: LanguageRun, tmp_path: Path
) -> None:
    model = small_run.artifact("int8-weight", "gguf")
    (tmp_path / "model.gguf").write_bytes(model.read_bytes())
    (tmp_path / INPUTS_FILE).write_bytes(np.arange(32, dtype="<i4").tobytes())
    generate = GeneratePass(
        prompt_tokens=8,
        new_tokens=4,
        warmup=WarmupPass(min_calls=0, min_ns=0),
        measure=MeasurePass(min_calls=3, min_ns=0, max_ns=10**11),
    )
    request = RunRequest(
        cell="c",
        launch=0,
        artifact=ArtifactRef(file="model.gguf", sha256=file_sha256(model), format=Format.GGUF),
        runtime=RuntimeRequest(delegate=Delegate.CPU, threads=1),
        inputs=InputsRef(
            file=INPUTS_FILE, count=1, tensors=(TensorSpec(name="tokens", dtype=DType.INT32, shape=(32,)),)
        ),
        passes=Passes(generate=generate, energy=EnergyPass(idle_ns=1_000_000)),
    )
    (tmp_path / REQUEST_FILE).write_bytes(encode(request))
    reply = run_job(tmp_path)
    assert reply.failure is None
    assert reply.energy is not None
    assert reply.generation is not None
    assert reply.generation.first is not None
    idle, load = reply.energy.blocks
    assert idle.ended_ns - idle.began_ns >= 1_000_000
    assert idle.ended_ns <= reply.generation.first.begin_ns
    assert (load.began_ns, load.calls, load.tokens) == (reply.generation.measured[0].begin_ns, 3, 12)


@pytest.fixture
def executorch_phone(tmp_path: Path, apks: ApkMaker, desktop: Program) -> Generator[dict[str, str]]:
    """The environment that finds a phone with the app of ExecuTorch, whose launches run on the JVM."""
    need_phone()
    binary = adb_binary(Adb.WHEEL)
    if binary is None:
        pytest.skip(f"{MISSING}the adb of adbutils")
    with AdbServer(tmp_path / "adb", binary) as server, VirtualPhone(tmp_path / "phone") as phone:
        phone.apps.program = desktop
        phone.packages.install(apks.make(ApkPlan(package="org.phonebench.runner.executorch")), InstallOptions())
        server.connect(phone)
        assert server.wait_state(phone, "device"), server.states()
        yield server.env
        server.adb("disconnect", phone.address)


def test_a_phone_generates_from_text_and_scores(small_run: LanguageRun, executorch_phone: dict[str, str]) -> None:
    """ExecuTorch's own runner and forward method do the work, behind the Java core of the app."""
    command = ("run", "small", "--device", "android", "--format", "pte,gguf", "--variant", "8da4w")
    lengths = ("--prompt", "20,125", "--new-tokens", "8", "--launches", "1")
    places = ("--cache-dir", "cache", "--results", "phone")
    ran = call_phonebench(*command, *lengths, *places, "--json", cwd=small_run.home, env=executorch_phone)
    assert ran.code == 0, ran.err
    run = ran.json()
    (cell,) = (cell for cell in run["cells"] if cell["status"] == "ok")
    generation = cell["generation"]
    assert (generation["prompt_tokens"], generation["tokens"], generation["chunks"]) == (20, 8, False)
    assert (generation["context_tokens"], generation["kv_cache_bytes"]) == (CONTEXT, 2 * 32 * CONTEXT * 4)
    assert "handing over the text of the prompt" in generation["ttft"]["definition"]
    assert cell["runtime"]["name"] == "executorch"
    # The same file on the same rows, scored by the loop of the app in place of that of the host.
    own = small_run.cell("8da4w", "pte", 20)["language"]
    assert cell["language"]["perplexity"] == pytest.approx(own["perplexity"], rel=1e-5)
    assert cell["language"]["agreement"] == own["agreement"]
    shown = call_phonebench("show", "--results", "phone", cwd=small_run.home)
    assert "need a context of 133 tokens" in shown.out
    assert "tokenising is in it" in shown.out


def test_a_text_of_any_length_has_as_many_tokens_for_the_runtime_as_were_asked_for(small_run: LanguageRun) -> None:
    tokenizers = pytest.importorskip("pytorch_tokenizers")
    tokenizer = tokenizers.CppHFTokenizer()
    tokenizer.load(str(MODEL / "tokenizer.json"))
    language = small_run.prepared("small").facts.language
    assert language is not None
    for tokens in (1, 2, 63, 64, 65, 500, 5000):
        assert len(tokenizer.encode(language.prompt_text(tokens), 0, 0)) == tokens


def small_run_tokens(run: LanguageRun) -> list[int]:
    """The first row of tokens that the run scored."""
    (file,) = (run.home / "cache" / "prepared").glob("*/*/inputs.bin")
    return [int(token) for token in np.fromfile(file, dtype="<i4")[:CONTEXT]]
