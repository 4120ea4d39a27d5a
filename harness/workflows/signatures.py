"""Which files of a run need a signature, and the signature that goes to a phone with each artifact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from harness.artifacts.manifest import Artifact
from harness.errors import SignatureError
from harness.model.card import ModelCard
from harness.model.resolve import is_bundled
from harness.model.user_code import is_beside, is_reference, split_reference
from harness.signing.bundle import Verified, bundle_of, read_bundle
from harness.signing.coverage import RUN_MARK, is_ignored, signature_of
from harness.signing.keys import check_private_key, key_password
from harness.signing.require import ignore_compiled_modules, require_signatures
from harness.spec.spec import Spec
from harness.wire import Format


def verify_models(cards: Iterable[ModelCard], spec: Spec) -> dict[str, Verified]:
    """Verify the files of each model if ``spec`` requires it, and return what was signed, by model.

    Models that ship with phonebench count as part of the program. Raises `SignatureError` for a model whose files are
    not signed by the key, or that consists of code which no signature covers.
    """
    if spec.sign is not None:
        check_private_key(Path(spec.sign).expanduser(), key_password())
    if spec.require_signature is None:
        return {}
    ignore_compiled_modules()
    key_file = Path(spec.require_signature).expanduser()
    wholes = {card.name: card.whole or card for card in cards}
    mains = {name: _main(whole) for name, whole in wholes.items() if not is_bundled(whole)}
    outside = [path for whole in wholes.values() for path in _outside(whole)]
    for path in (*mains.values(), *outside):
        _refuse_run(path)
    verified = require_signatures((*mains.values(), *outside), key_file)
    return {name: verified[main] for name, main in mains.items()}


def refuse_unsigned(artifacts: Iterable[Artifact], verified: Mapping[str, Verified]) -> None:
    """Raise `SignatureError` unless every ready-made file that will run is one that was signed.

    It may have been replaced after it was verified, or it may take weights from a file that the signature leaves out.
    """
    for artifact in artifacts:
        manifest = artifact.manifest
        signed = verified.get(manifest.model)
        if signed is None or manifest.recipe is not None or signed.path.is_dir():
            continue
        digests = {manifest.file: manifest.sha256} | {part.file: part.sha256 for part in manifest.companions}
        wrong = next((name for name, digest in digests.items() if digest not in signed.digests.values()), None)
        if wrong is not None:
            msg = f"{wrong!r} of model {manifest.model!r} is not what {str(signature_of(signed.path))!r} signs"
            raise SignatureError(msg + ": sign all its files again, together")


def bundle_for(artifact: Artifact, card: ModelCard, spec: Spec) -> str:
    """Return the signature of an artifact for a runner that checks it; empty if there is none.

    That of a ready-made file lies beside it; ``spec.sign`` is the private key for the others.
    """
    source = signature_of(Path(card.source)) if card.ready is not None else None
    if source is not None and source.is_file():
        return read_bundle(Path(card.source), source).decode(errors="replace")
    if spec.sign is None or artifact.path is None:
        return ""
    return bundle_of(artifact.path, Path(spec.sign).expanduser()).decode()


def _main(card: ModelCard) -> Path:
    """The file or folder with the network of a whole model. Raises `SignatureError` for code that has neither."""
    if card.folder is not None:
        return card.folder
    if is_reference(card.source) and not Path(card.source).exists():
        msg = f"model {card.name!r} is code of the module {card.source.partition(':')[0]!r}, which has no signature: "
        raise SignatureError(msg + "put it into a model folder, and sign the folder")
    source = Path(card.source)
    # The configuration of a language model names the files beside it.
    return source.parent if card.ready is Format.GENAI else source


def _outside(card: ModelCard) -> Iterator[Path]:
    """Files that a whole model takes from where its signature does not reach: networks, weights, and data."""
    main = _main(card).resolve()
    for text in _named(card):
        path = Path(text).expanduser()
        if not path.is_absolute() and card.folder is not None:
            path = card.folder / path
        if is_reference(text) and not path.exists():
            continue
        if path.exists() and not _covers(main, path.resolve()):
            yield path


def _covers(main: Path, path: Path) -> bool:
    """Return whether the signature of the model file or folder ``main`` covers ``path``."""
    return path.is_relative_to(main) and not is_ignored(path.relative_to(main))


def _named(card: ModelCard) -> Iterator[str]:
    """What the card names. Raises `SignatureError` for data that are code outside of the model folder."""
    if card.folder is not None:
        yield from filter(None, (card.source, card.weights))
        yield from filter(None, (text for part in card.parts for text in (part.source, part.weights)))
    if card.language is not None:
        yield from filter(None, (card.language.text, card.language.choices))
    if card.data is None or not card.data.source:
        return
    text = card.data.source
    if is_reference(text) and (card.folder is None or not is_beside(split_reference(text)[0], card.folder)):
        msg = f"the data {text!r} are code, which has no signature: put it into a model folder, and sign that"
        raise SignatureError(msg)
    yield text


def _refuse_run(path: Path) -> None:
    """Refuse a folder that counts as a run: its signature covers what was measured, and no other file in it."""
    if (path / RUN_MARK).is_file():
        msg = f"{str(path)!r} has a {RUN_MARK}, so its signature is that of a run and covers no model or data: "
        raise SignatureError(msg + "put them into a folder of their own, and sign that")
