"""The clouds, one row each, and which of them a ticket is of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.clouds.cloud import BatchCloud, CloudName
from harness.errors import UnknownNameError


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudKind:
    """A cloud: its title, and what opens it for a project, which a ticket names by itself (then it is empty).

    ``alone``: it starts the runner apps alone, so the run is put together here (`harness.workflows.cloud_loop`).
    Otherwise phonebench goes there, and its whole run comes back (`harness.clouds.package`). ``most_minutes`` is the
    longest time of a job, and ``ticket`` how a ticket begins.
    """

    title: str
    open: Callable[[str, str], BatchCloud]
    ticket: str
    alone: bool
    most_minutes: int
    minutes: int


def _aws(project: str, bucket: str) -> BatchCloud:  # noqa: ARG001  its results are in no bucket
    from harness.clouds.aws import open_device_farm

    return open_device_farm(project)


def _firebase(project: str, bucket: str) -> BatchCloud:
    from harness.clouds.firebase import FirebaseTestLab

    return FirebaseTestLab(project=project, bucket=bucket)


CLOUDS: dict[CloudName, CloudKind] = {
    CloudName.AWS: CloudKind(
        title="AWS Device Farm", open=_aws, ticket="arn:", alone=False, most_minutes=150, minutes=60
    ),
    CloudName.FIREBASE: CloudKind(
        title="Firebase Test Lab", open=_firebase, ticket="firebase:", alone=True, most_minutes=60, minutes=45
    ),
}


def kind_named(name: str) -> CloudKind:
    """Return the cloud of that name. Raises `UnknownNameError`."""
    if name not in list(CLOUDS):
        raise UnknownNameError(name, kind="cloud", allowed=[known.value for known in CLOUDS])
    return CLOUDS[CloudName(name)]


def cloud_of(ticket: str) -> CloudKind:
    """Return the cloud that a ticket is of. What begins like no other is left to AWS, which judges it."""
    return next((kind for kind in CLOUDS.values() if ticket.startswith(kind.ticket)), CLOUDS[CloudName.AWS])
