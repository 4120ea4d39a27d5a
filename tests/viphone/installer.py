"""The installation proxy: it reads the staged IPA for real and refuses it with installd's words."""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.viphone.ipa import Ipa, IpaError, Refused, read_ipa
from tests.viphone.link import Link

if TYPE_CHECKING:
    from tests.viphone.iphone import VirtualIPhone

NO_PROFILE = (0xE8008015, "A valid provisioning profile for this executable was not found.")
EXPIRED = (0xE8008011, "This provisioning profile has expired.")
OTHER_DEVICE = (0xE8008012, "This provisioning profile cannot be installed on this device.")
UNSIGNED = (0xE800801C, "No code signature found.")
# As a phone reports them (tests/golden/ios/recorded.json).
STAGES = (
    ("CreatingStagingDirectory", 5),
    ("ExtractingPackage", 15),
    ("InspectingPackage", 20),
    ("TakingInstallLock", 20),
    ("PreflightingApplication", 30),
    ("InstallingEmbeddedProfile", 30),
    ("VerifyingApplication", 40),
    ("CreatingContainer", 50),
    ("InstallingApplication", 60),
    ("PostflightingApplication", 70),
    ("SandboxingApplication", 80),
    ("GeneratingApplicationMap", 90),
)
BEFORE_CHECK = 2


def serve(phone: VirtualIPhone, link: Link) -> None:
    """Answer commands until the connection ends."""
    while True:
        request = link.receive_plist()
        options = request.get("ClientOptions") or {}
        match request.get("Command"):
            case "Install" | "Upgrade":
                _install(phone, link, str(request.get("PackagePath", "")))
            case "Uninstall":
                phone.apps.uninstall(str(request.get("ApplicationIdentifier", "")))
                link.send_plist({"PercentComplete": 50, "Status": "RemovingApplication"})
                link.send_plist({"Status": "Complete"})
            case "Browse":
                rows = _rows(phone, options)
                counts = {"CurrentAmount": len(rows), "CurrentIndex": 0, "Total": len(rows)}
                link.send_plist(counts | {"CurrentList": rows, "Status": "BrowsingApplications"})
                link.send_plist({"Status": "Complete"})
            case "Lookup":
                rows = _rows(phone, options)
                found = {row["CFBundleIdentifier"]: row for row in rows}
                link.send_plist({"LookupResult": found, "Status": "Complete"})
            case "CheckCapabilitiesMatch":
                link.send_plist({"LookupResult": {"CapabilitiesMatch": True}, "Status": "Complete"})
            case other:
                link.send_plist({"Error": "UnknownCommand", "ErrorDescription": f"no command {other!r}"})


def _install(phone: VirtualIPhone, link: Link, staged: str) -> None:
    file = phone.storage.media.joinpath(*[part for part in staged.split("/") if part not in ("", ".", "..")])
    try:
        for status, percent in STAGES[:BEFORE_CHECK]:
            link.send_plist({"PercentComplete": percent, "Status": status})
        ipa = read_ipa(file)
        _check(phone, ipa, file)
        for status, percent in STAGES[BEFORE_CHECK:]:
            link.send_plist({"PercentComplete": percent, "Status": status})
    except IpaError as error:
        link.send_plist({"Error": error.refused.value, "ErrorDescription": str(error)})
        return
    phone.apps.install(ipa, file)
    # Some phones send a message without a status before this one, at which libimobiledevice 1.3 stops listening.
    link.send_plist({"Status": "Complete"})


def _check(phone: VirtualIPhone, ipa: Ipa, file: Path) -> None:
    """Refuse what a phone refuses; raises `IpaError`."""
    if phone.storage.free_bytes() < ipa.bytes_unpacked:
        msg = f"Could not extract archive at {file.name}: No space left on device"
        raise IpaError(Refused.EXTRACTION, msg)
    minimum = str(ipa.info.get("MinimumOSVersion", "0"))
    if tuple(int(part) for part in minimum.split(".")) > phone.state.ios_version:
        msg = f"This app requires iOS {minimum} or later"
        raise IpaError(Refused.IOS, msg)
    fitting = [part for part in ipa.slices if part.architecture in phone.state.architectures and part.platform == "ios"]
    if not fitting:
        msg = f"Failed to find matching arch for input file: {ipa.app}"
        raise IpaError(Refused.ARCHITECTURE, msg)
    if ipa.profile is None:
        raise _unverified(ipa, NO_PROFILE)
    if not all(part.signed for part in fitting):
        raise _unverified(ipa, UNSIGNED)
    if has_expired(phone, ipa):
        raise _unverified(ipa, EXPIRED)
    if not ipa.profile.all_devices and phone.state.udid not in ipa.profile.devices:
        raise _unverified(ipa, OTHER_DEVICE)


def has_expired(phone: VirtualIPhone, ipa: Ipa) -> bool:
    """Whether the profile has run out by the phone's clock."""
    now = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=phone.state.clock_offset_s)
    return ipa.profile is not None and ipa.profile.expires < now


def _unverified(ipa: Ipa, reason: tuple[int, str]) -> IpaError:
    code, text = reason
    place = "/private/var/installd/Library/Caches/com.apple.mobile.installd.staging/temp.1/extracted"
    if reason in (EXPIRED, OTHER_DEVICE):
        msg = f"Failed to install embedded profile for {ipa.bundle_id} : {code:#x} ({text})"
    else:
        msg = f"Failed to verify code signature of {place}/{ipa.app} : {code:#x} ({text})"
    return IpaError(Refused.VERIFICATION, msg)


def _rows(phone: VirtualIPhone, options: dict[str, Any]) -> list[dict[str, Any]]:
    ids, kind = options.get("BundleIDs"), options.get("ApplicationType", "Any")
    wanted = options.get("ReturnAttributes")
    rows = []
    for app in list(phone.apps.installed.values()):
        if (ids is None or app.ipa.bundle_id in ids) and kind in ("Any", "User"):
            row = _row(app.ipa) | {"Path": f"/private/var/containers/Bundle/Application/{app.uuid}/Runner.app"}
            row |= {"Container": f"/private/var/mobile/Containers/Data/Application/{app.uuid}"}
            rows.append({key: value for key, value in row.items() if not wanted or key in wanted})
    return rows


def _row(ipa: Ipa) -> dict[str, Any]:
    entitlements = ipa.profile.entitlements if ipa.profile else {}
    signer = {"SignerIdentity": "Apple Development: phonebench tests", "ProfileValidated": True}
    return dict(ipa.info) | {"ApplicationType": "User", "Entitlements": entitlements} | signer


def unpack(file: Path, target: Path) -> None:
    """Unpack an IPA that was checked."""
    with zipfile.ZipFile(file) as archive:
        archive.extractall(target)
