"""Which files of a run need a signature, and the signature that goes to a phone with each artifact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from harness.artifacts.manifest import Artifact
from harness.errors import SignatureError
from harness.model.card import ModelCard
from harness.model.resolve import is_bundled
from harness.model.user_code import is_reference
from harness.signing.bundle import Verified, bundle_of
from harness.signing.coverage import signature_of
from harness.signing.keys import check_private_key, key_password
from harness.signing.require import ignore_compiled_modules, require_signatures
from harness.spec.spec import Spec


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
    own = [card for card in cards if not is_bundled(card.whole or card)]
    paths = {card.name: _paths(card) for card in own}
    verified = require_signatures((path for each in paths.values() for path in each), key_file)
    return {name: verified[each[0]] for name, each in paths.items()}


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
        return source.read_text(encoding="utf-8", errors="replace")
    if spec.sign is None or artifact.path is None:
        return ""
    return bundle_of(artifact.path, Path(spec.sign).expanduser()).decode()


def _paths(card: ModelCard) -> tuple[Path, ...]:
    """The files and folders of a model, the one with the network first."""
    whole = card.whole or card
    if whole.folder is not None:
        main = whole.folder
    elif is_reference(whole.source) and not Path(whole.source).exists():
        msg = f"model {card.name!r} is code of the module {whole.source.partition(':')[0]!r}, which has no signature: "
        raise SignatureError(msg + "put it into a model folder, and sign the folder")
    else:
        main = Path(whole.source)
    return (main, *_outside(main, whole))


def _outside(main: Path, card: ModelCard) -> Iterable[Path]:
    """Files that the card takes from elsewhere: weights, and data from ``--data``."""
    for text in (card.weights, card.data.source if card.data is not None else None):
        if not text:
            continue
        path = Path(text).expanduser()
        if not path.is_absolute() and card.folder is not None and (card.folder / path).exists():
            path = card.folder / path
        if is_reference(text) and not path.exists():
            if card.folder is None:
                msg = f"the data {text!r} are code, which has no signature: put it into a model folder, and sign that"
                raise SignatureError(msg)
            continue
        if path.exists() and not path.resolve().is_relative_to(main.resolve()):
            yield path
