"""The phones of Firebase Test Lab, and which of them a job asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.clouds.gcloud import ask, json_of
from harness.devices.android.facts import MIN_API
from harness.errors import CloudError, UsageError

PHYSICAL = "PHYSICAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudPhoneModel:
    """A model of phones: its id, by which it is asked for, its versions of Android as API levels, and its ABIs.

    ``form`` is ``PHYSICAL`` for real phones, ``VIRTUAL`` or ``EMULATOR`` for programs.
    """

    id: str
    name: str
    form: str
    versions: tuple[str, ...]
    abis: tuple[str, ...]

    @property
    def physical(self) -> bool:
        """Whether it is a real phone."""
        return self.form == PHYSICAL

    def abis_of(self, version: str) -> tuple[str, ...]:
        """Return its ABIs with that version of Android, the preferred one first."""
        # An ABI that exists on one version alone is listed as version:ABI.
        parts = (abi.rpartition(":") for abi in self.abis)
        return tuple(abi for only, _, abi in parts if only in ("", version))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenPhone:
    """A model with one version of Android."""

    model: CloudPhoneModel
    version: str

    @property
    def key(self) -> str:
        """The device key of its results."""
        return f"android:firebase-{self.model.id}-{self.version}"


def list_models(project: str = "") -> tuple[CloudPhoneModel, ...]:
    """Return the models that can run the runner apps, phones first, by name. Raises `CloudError`."""
    words = ("firebase", "test", "android", "models", "list", "--format=json")
    return models_in(json_of("the list of phones", ask("list its phones", *words, project=project)))


def models_in(answer: Any) -> tuple[CloudPhoneModel, ...]:
    """Return the models in gcloud's list that can run the runner apps. Raises `CloudError` if there is none."""
    models = [_model(entry) for entry in answer if isinstance(entry, dict)] if isinstance(answer, list) else []
    usable = [model for model in models if model.id and model.versions and model.abis]
    if not usable:
        msg = "gcloud lists no phone that can run the runner apps: try again"
        raise CloudError(msg, passing=True)
    return tuple(sorted(usable, key=lambda model: (not model.physical, model.name.lower(), model.id)))


def _model(entry: dict[str, Any]) -> CloudPhoneModel:
    versions = [str(v) for v in entry.get("supportedVersionIds") or () if str(v).isdecimal() and int(v) >= MIN_API]
    phone = entry.get("formFactor") in (None, "PHONE", "TABLET")
    return CloudPhoneModel(
        id=str(entry.get("id") or ""),
        name=" ".join(str(entry[part]) for part in ("manufacturer", "name") if entry.get(part)),
        form=str(entry.get("form") or ""),
        versions=tuple(sorted(versions, key=int)) if phone and not entry.get("accessDeniedReasons") else (),
        abis=tuple(str(abi) for abi in entry.get("supportedAbis") or ()),
    )


def choose_phone(models: tuple[CloudPhoneModel, ...], name: str, version: str | None) -> ChosenPhone:
    """Return the model with that id, or that marketing name, with the newest Android or ``version``.

    Raises `UsageError` that names what there is.
    """
    word = name.lower()
    fitting = [model for model in models if model.id.lower() == word]
    fitting = fitting or [model for model in models if f" {model.name.lower()}".endswith(f" {word}")]
    if len(fitting) != 1:
        near = ", ".join(f"{model.id} ({model.name})" for model in fitting or _near(models, word))
        what = f"has several phones {name!r}: name one of" if fitting else f"has no phone {name!r}; near it are"
        msg = f"Firebase Test Lab {what} {near or 'none'}; to see all: phonebench cloud phones"
        raise UsageError(msg)
    model = fitting[0]
    if version is not None and version not in model.versions:
        msg = f"{model.id} has no Android with API level {version!r}; it has {', '.join(model.versions)}"
        raise UsageError(msg)
    return ChosenPhone(model=model, version=version or model.versions[-1])


def _near(models: tuple[CloudPhoneModel, ...], word: str) -> list[CloudPhoneModel]:
    import difflib

    names = {text.lower(): model for model in models for text in (model.id, model.name)}
    names |= {model.name.lower().partition(" ")[2]: model for model in models}
    return list(dict.fromkeys(names[near] for near in difflib.get_close_matches(word, names, n=5, cutoff=0.5)))
