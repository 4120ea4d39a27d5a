"""The software bill of materials of a run, in CycloneDX 1.6: what took part in building and measuring.

A component per model with the digest of its weights, per artifact with its digest, per package with its version, and
per device. Specification: https://cyclonedx.org/docs/1.6/json/.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from harness.errors import MissingPackageError
from harness.store.records import RunRecord

if TYPE_CHECKING:
    from cyclonedx.model.component import Component


def run_sbom(run: RunRecord) -> str:
    """Return the bill of materials of ``run`` as JSON; the same run gives the same text.

    Raises `MissingPackageError` without the package that writes CycloneDX.
    """
    try:
        from cyclonedx.model.bom import Bom
        from cyclonedx.model.component import Component, ComponentType
        from cyclonedx.output.json import JsonV1Dot6
    except ImportError as error:
        raise MissingPackageError(package="cyclonedx-python-lib", extra="sign", purpose="a signed run") from error
    from datetime import datetime

    head = run.head
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, f"phonebench:{head.id}"), components=_components(run))
    bom.metadata.timestamp = datetime.fromisoformat(head.finished_at or head.created_at)
    whole = Component(name="phonebench run", version=head.id, type=ComponentType.DATA, bom_ref=f"run:{head.id}")
    bom.metadata.component = whole
    bom.register_dependency(whole, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=1)


def _components(run: RunRecord) -> Iterator[Component]:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    def sha256(digest: str) -> list[HashType]:
        return [HashType(alg=HashAlgorithm.SHA_256, content=digest)]

    for name, version in run.head.versions.items():
        url = PackageURL("pypi", name=name.lower(), version=version)
        yield Component(name=name, version=version, purl=url, bom_ref=url.to_string(), type=ComponentType.LIBRARY)
    for model in run.head.models:
        yield Component(
            name=model.name,
            type=ComponentType.MACHINE_LEARNING_MODEL,
            hashes=sha256(model.weights_sha256),
            bom_ref=f"model:{model.name}",
        )
    artifacts = {m.artifact.sha256: m.cell for m in run.measurements if m.artifact is not None and m.artifact.sha256}
    for digest, cell in artifacts.items():
        yield Component(name=cell, type=ComponentType.FILE, hashes=sha256(digest), bom_ref=f"artifact:{digest}")
    for device in run.head.devices:
        name, reference = device.model or device.key, f"device:{device.key}"
        yield Component(name=name, version=device.os, type=ComponentType.DEVICE, bom_ref=reference)
