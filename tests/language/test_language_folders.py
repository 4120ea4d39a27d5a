"""Folders of language models as they are found: other files beside the weights, and keys and weights left out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.artifacts.export.exporter import UnsupportedError
from harness.artifacts.export.gguf import GgufExporter
from harness.artifacts.export.language_folder import full_config, stored_weights
from harness.artifacts.export.pte_language import PteLanguageExporter
from harness.artifacts.sources.prepare_language import prepare_language
from harness.errors import BuildError, UsageError
from harness.model.card import ModelCard, ModelOptions
from harness.model.language import read_ready, weight_files
from harness.model.resolve import resolve
from harness.runners.host.language import check_lengths
from harness.runners.host.runtimes.registry import open_language
from harness.runners.host.runtimes.session import SessionError
from harness.spec.formats import Backend
from harness.spec.recipe import Precision, Recipe
from harness.wire import Delegate, Format, GeneratePass, MeasurePass, RuntimeRequest, WarmupPass
from tests.cli.calls import call
from tests.language.conftest import MODEL, small_model

FP32 = Recipe(name="fp32", precision=Precision.FP32)
# In a process of its own, as a build is: ONNX Runtime's builder imports a module with the common name `builders`.
EXPORT = """
import sys
from pathlib import Path
from harness.artifacts.export.genai import GenaiExporter
from harness.spec.recipe import Precision, Recipe
folder, path = map(Path, sys.argv[1:])
GenaiExporter(folder).export(Recipe(name="fp32", precision=Precision.FP32), None, path)
"""
WARMUP, MEASURE = WarmupPass(min_calls=0, min_ns=0), MeasurePass(min_calls=1, min_ns=0, max_ns=10**9)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("small"))


@pytest.fixture
def folder(small: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small, tmp_path / "model"))


def card_of(folder: Path) -> ModelCard:
    return resolve(str(folder), ModelOptions())


def edit(folder: Path, **changes: object) -> None:
    """Change keys of ``config.json``; ... leaves one out."""
    file = folder / "config.json"
    config: dict[str, Any] = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in config.items() if value is not ...}))


def edit_weights(folder: Path, **changes: object) -> None:
    """Change weights by the end of their names; ... leaves one out."""
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    weights: dict[str, Any] = {}
    for name, tensor in load_file(file).items():
        change = next((value for end, value in changes.items() if name.endswith(f"{end}.weight")), None)
        if change is not ...:
            weights[name] = tensor if change is None else change
    save_file(weights, file, metadata={"format": "pt"})


def test_a_row_may_fill_the_whole_context(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime_genai")
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    edit(folder, max_position_embeddings=20)
    path = tmp_path / "built" / "genai_config.json"
    path.parent.mkdir()
    subprocess.run([sys.executable, "-P", "-c", EXPORT, folder, path], check=True, timeout=600)
    row = np.random.default_rng(0).integers(2, 1000, 20).tolist()
    with torch.no_grad():
        logits = transformers.AutoModelForCausalLM.from_pretrained(folder)(torch.tensor([row])).logits[0]
    right = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(row[1:]), reduction="none")
    session = open_language(path, RuntimeRequest(delegate=Delegate.CPU, threads=1), Format.GENAI)
    try:
        nll, top1 = session.score(row)
    finally:
        session.close()
    assert nll.tolist() == pytest.approx(right.tolist(), abs=1e-4)
    assert top1.tolist() == logits[:-1].argmax(1).tolist()


def test_a_folder_ends_where_a_window_that_its_attention_ignores_does(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime_genai")
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    edit(folder, architectures=["MistralForCausalLM"], model_type="mistral", sliding_window=20)
    path = tmp_path / "built" / "genai_config.json"
    path.parent.mkdir()
    subprocess.run([sys.executable, "-P", "-c", EXPORT, folder, path], check=True, timeout=600)
    facts = read_ready(path, Format.GENAI)
    assert facts is not None
    assert facts.context == 20
    row = np.random.default_rng(0).integers(2, 1000, 20).tolist()
    network = transformers.AutoModelForCausalLM.from_pretrained(folder)
    assert network.config.sliding_window == 20
    with torch.no_grad():
        logits = network(torch.tensor([row])).logits[0]
    right = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(row[1:]), reduction="none")
    session = open_language(path, RuntimeRequest(delegate=Delegate.CPU, threads=1), Format.GENAI)
    try:
        assert session.score(row)[0].tolist() == pytest.approx(right.tolist(), abs=1e-4)
        assert session.generate(row[:12], 8).tokens == 8
        with pytest.raises(SessionError, match="need a context of 21 tokens; this file has 20: shorten --prompt"):
            check_lengths(session, GeneratePass(prompt_tokens=13, new_tokens=8, warmup=WARMUP, measure=MEASURE))
    finally:
        session.close()


@pytest.mark.parametrize(
    ("sliding", "context"),
    [
        # As the builder writes it for Mistral, and for Gemma 2, whose layers it knows.
        ({"window_size": 16, "slide_key_value_cache": False, "layers": []}, 16),
        ({"window_size": 16, "slide_key_value_cache": False, "layers": [0, 2]}, 256),
        ({"window_size": 16, "slide_key_value_cache": True, "layers": []}, 256),
        ({"window_size": 999, "layers": []}, 256),
        ({"window_size": "16", "layers": []}, 256),
        ([], 256),
    ],
)
def test_the_context_of_a_ready_folder_is_that_of_its_caches(tmp_path: Path, sliding: object, context: int) -> None:
    path = tmp_path / "genai_config.json"
    path.write_text(json.dumps({"model": {"context_length": 256, "decoder": {"sliding_window": sliding}}}))
    facts = read_ready(path, Format.GENAI)
    assert facts is not None
    assert facts.context == context


@pytest.mark.parametrize(
    ("config", "words"),
    [
        # A context that was extended without saying how.
        (
            {"model_type": "phi3", "architectures": ["Phi3ForCausalLM"], "original_max_position_embeddings": 64},
            "fails at this Phi3ForCausalLM (KeyError: 'multi_cache'): measure it in another format",
        ),
        (
            {"model_type": "olmo2", "architectures": ["Olmo2ForCausalLM"]},
            "does not know the architecture Olmo2ForCausalLM: measure it in another format",
        ),
    ],
)
def test_what_the_builder_cannot_build_is_a_sentence(
    folder: Path, tmp_path: Path, config: dict[str, object], words: str
) -> None:
    pytest.importorskip("onnxruntime_genai")
    transformers = pytest.importorskip("transformers")
    edit(folder, **config, pad_token_id=1)
    network = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.from_pretrained(folder))
    network.save_pretrained(folder)
    path = tmp_path / "built" / "genai_config.json"
    path.parent.mkdir()
    command = (sys.executable, "-P", "-c", EXPORT, folder, path)
    ended = subprocess.run(command, check=False, timeout=600, capture_output=True, text=True)
    last = ended.stderr.rstrip().splitlines()[-1]
    assert last.startswith("harness.artifacts.export.exporter.UnsupportedError: ONNX Runtime's model builder")
    assert words in last


def test_a_network_that_lacks_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    edit_weights(folder, up_proj=...)
    with pytest.raises(BuildError, match=r"lacks the weight 'model\.layers\.0\.mlp\.up_proj\.weight'"):
        prepare_language(card_of(folder), "key", tmp_path)


def test_weights_that_share_their_numbers_are_not_missing(folder: Path, tmp_path: Path) -> None:
    edit(folder, tie_word_embeddings=True)
    edit_weights(folder, lm_head=...)
    assert prepare_language(card_of(folder), "key", tmp_path).test_count > 0


def test_rows_are_no_longer_than_a_window_of_attention_that_slides(folder: Path, tmp_path: Path) -> None:
    edit(folder, architectures=["MistralForCausalLM"], model_type="mistral", sliding_window=40)
    prepared = prepare_language(card_of(folder), "key", tmp_path)
    assert [tensor.shape for tensor in prepared.inputs] == [(40,)]


def test_damaged_weights_and_a_float_model_without_numbers_are_refused(folder: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    edit_weights(folder, lm_head=torch.full((1024, 64), torch.nan))
    with pytest.raises(BuildError, match="is no reference: the logits of token 0 are not finite"):
        prepare_language(card_of(folder), "key", tmp_path)
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(BuildError, match="transformers cannot load .*model"):
        prepare_language(card_of(folder), "key", tmp_path)


def test_only_the_weights_that_transformers_reads_are_taken(folder: Path) -> None:
    names = [name for name, _ in stored_weights(folder)]
    whole = folder / "model.safetensors"
    # Mistral's own names, a file of macOS, and a copy.
    (folder / "consolidated.safetensors").write_bytes(b"others")
    (folder / "._model.safetensors").write_bytes(b"\x00\x05\x16\x07")
    assert [name for name, _ in stored_weights(folder)] == names
    shard = whole.rename(folder / "model-00001-of-00001.safetensors")
    index = {"weight_map": dict.fromkeys(names, shard.name)}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert weight_files(folder) == (shard,)
    assert [name for name, _ in stored_weights(folder)] == names


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/hostname", "shards/a.safetensors", "..", ""])
def test_an_index_that_names_weights_outside_of_the_folder_is_refused(folder: Path, name: str) -> None:
    """The signature of the folder would not cover them."""
    (folder / "model.safetensors").rename(folder.parent / "model.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"lm_head.weight": name}}))
    with pytest.raises(UsageError, match="which is no file beside it"):
        card_of(folder)


def test_weights_in_a_pickle_are_named(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    ended = call("run", str(folder), "--dry-run")
    assert ended.code == 2
    assert "no weights: put its .safetensors files there; pytorch_model.bin is a pickle, which is not read" in ended.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"architectures": [', "is not JSON"),
        ('{"model_type": "llama"}', "names no architecture"),
        ('{"architectures": ["T5ForConditionalGeneration"]}', "names T5ForConditionalGeneration, which is not one"),
    ],
)
@pytest.mark.parametrize("with_card", [False, True])
def test_a_folder_of_hugging_face_that_is_no_language_model_says_why(
    folder: Path, text: str, words: str, with_card: bool
) -> None:
    (folder / "config.json").write_text(text)
    if with_card:
        shutil.copy(MODEL / "model.toml", folder)
    ended = call("run", str(folder), "--dry-run")
    assert ended.code == 2
    assert words in ended.err


def test_keys_that_are_left_out_have_the_defaults_of_the_architecture(folder: Path) -> None:
    edit(folder, rms_norm_eps=..., max_position_embeddings=..., rope_parameters=..., num_key_value_heads=...)
    config = full_config(folder)
    # Those of transformers' LlamaConfig.
    assert (config["rms_norm_eps"], config["max_position_embeddings"]) == (1e-6, 2048)
    assert config["num_key_value_heads"] == config["num_attention_heads"]
    assert PteLanguageExporter(folder).context() == 2048


@pytest.mark.parametrize(
    "scaling",
    # The second has the name that older files have for the key.
    [{"rope_type": "linear", "factor": 4.0}, {"type": "linear", "factor": 4.0}, {"type": "dynamic", "factor": 2.0}],
)
def test_scaled_rotary_embeddings_are_refused_by_either_name(folder: Path, tmp_path: Path, scaling: object) -> None:
    edit(folder, rope_parameters=..., rope_scaling=scaling)
    with pytest.raises(UnsupportedError, match="rotary embeddings scaled by '(linear|dynamic)'"):
        GgufExporter(folder).export(FP32, None, tmp_path / "model.gguf")
    with pytest.raises(UnsupportedError, match="does not scale rotary embeddings by '(linear|dynamic)'"):
        PteLanguageExporter(folder).export(FP32, Backend.XNNPACK, tmp_path / "model.pte")


LLAMA_3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"original_max_position_embeddings": 64}, "original_max_position_embeddings 8192, and this model has 64"),
        ({"low_freq_factor": 2.0}, "low_freq_factor 1, and this model has 2.0"),
        ({"factor": 2.5}, "whole numbers as rope_scale_factor, and this model has 2.5"),
    ],
)
def test_a_scaling_that_executorch_does_not_compute_is_refused(
    folder: Path, tmp_path: Path, change: dict[str, object], words: str
) -> None:
    edit(folder, rope_parameters=LLAMA_3 | change)
    with pytest.raises(UnsupportedError, match=words):
        PteLanguageExporter(folder).export(FP32, Backend.XNNPACK, tmp_path / "model.pte")


def test_an_activation_that_a_program_does_not_compute_is_refused(folder: Path, tmp_path: Path) -> None:
    edit(folder, hidden_act="gelu")
    with pytest.raises(UnsupportedError, match="this model has 'gelu'"):
        GgufExporter(folder).export(FP32, None, tmp_path / "model.gguf")
    with pytest.raises(UnsupportedError, match="this model has 'gelu'"):
        PteLanguageExporter(folder).export(FP32, Backend.XNNPACK, tmp_path / "model.pte")


def test_a_bias_that_executorch_has_no_place_for_is_refused(folder: Path, tmp_path: Path) -> None:
    torch, safetensors = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch")
    file = folder / "model.safetensors"
    weights = safetensors.load_file(file) | {"model.layers.0.self_attn.o_proj.bias": torch.ones(64)}
    safetensors.save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(UnsupportedError, match=r"'model\.layers\.0\.self_attn\.o_proj\.bias' has no place"):
        PteLanguageExporter(folder).export(FP32, Backend.XNNPACK, tmp_path / "model.pte")


GOOD = '{"question": "The phone is", "choices": ["warm", "cold"], "answer": 0}'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"question": "half \\ud83d", "choices": ["x", "y"], "answer": 0}', "line 2 of asked.jsonl is no question"),
        ("[" * 100_000, "line 2 of asked.jsonl is no question"),
        ('{"question": "a", "choices": ["x", "x"], "answer": 1}', "line 2 of asked.jsonl has the same choice twice"),
    ],
    ids=["half a character", "deep", "same"],
)
def test_a_line_that_cannot_be_asked_is_refused(folder: Path, tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "asked.jsonl"
    file.write_text(f"{GOOD}\n{text}\n")
    with pytest.raises(UsageError, match=words):
        prepare_language(resolve(str(folder), ModelOptions(data=str(file))), "key", tmp_path)


def test_an_empty_question_needs_a_token_that_begins_a_text(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "asked.jsonl"
    file.write_text('{"question": "", "choices": ["x", "y"], "answer": 1}')
    card = resolve(str(folder), ModelOptions(data=str(file)))
    assert prepare_language(card, "key", tmp_path).float_answers == 1
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text(json.dumps(json.loads(tokenizer.read_text()) | {"post_processor": None}))
    with pytest.raises(UsageError, match="the question '' has no tokens"):
        prepare_language(card, "key", tmp_path)


def test_questions_in_utf_8_of_windows_are_read(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "asked.jsonl"
    file.write_bytes(f"{GOOD}\r\n{GOOD}\r\n".encode("utf-8-sig"))
    prepared = prepare_language(resolve(str(folder), ModelOptions(data=str(file))), "key", tmp_path)
    assert prepared.float_answers == 2


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_text_that_is_not_utf_8_is_refused(folder: Path, tmp_path: Path, encoding: str) -> None:
    (folder / "test.txt").write_bytes(("Gr\u00f6\u00dfe ist nicht alles. " * 100).encode(encoding))
    with pytest.raises(UsageError, match=r"test\.txt' is not UTF-8 at byte [02]: save it"):
        prepare_language(resolve(str(folder), ModelOptions()), "key", tmp_path)
