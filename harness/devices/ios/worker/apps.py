"""The runner app on the phone: which one is installed, and how it gets there."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

from pymobiledevice3.services.installation_proxy import InstallationProxyService

from harness.devices.ios.worker.phone import Phone

DEFAULT_ID = "org.phonebench.runner"
_DIGEST = "PhonebenchRunnerDigest"
_VALUES = [
    "CFBundleIdentifier",
    "CFBundleExecutable",
    "CFBundleShortVersionString",
    "CFBundleVersion",
    _DIGEST,
    "PhonebenchRuntimes",
    "Path",
]


async def app(phone: Phone, *, bundle_id: str) -> dict[str, Any] | None:
    """Return the installed runner app: the one with this id, else any that says it is one; None without."""
    async with InstallationProxyService(phone.lockdown) as proxy:
        exact = await proxy.lookup({"BundleIDs": [bundle_id], "ReturnAttributes": _VALUES}) or {}
        if bundle_id in exact:
            return _plain(exact[bundle_id])
        # Somebody who signs with an account of their own has to change the id.
        others = await proxy.browse({"ApplicationType": "User"}, _VALUES)
    return next((_plain(other) for other in others if other.get(_DIGEST)), None)


async def install(phone: Phone, *, path: str, developer: bool) -> None:
    """Install an IPA; its data stays if it replaces an older version."""
    async with InstallationProxyService(phone.lockdown) as proxy:
        await proxy.install_from_local(path, developer=developer)
    await phone.forget_files()


async def uninstall(phone: Phone, *, bundle_id: str) -> None:
    """Remove the app with its data."""
    await phone.forget_files()
    async with InstallationProxyService(phone.lockdown) as proxy:
        await proxy.uninstall(bundle_id)


async def expired(phone: Phone) -> bool:
    """Return whether a runner app is installed whose provisioning profiles have all expired."""
    from pymobiledevice3.services.misagent import MisagentService

    installed = await app(phone, bundle_id=phone.bundle_id or DEFAULT_ID)
    if installed is None:
        return False
    async with MisagentService(phone.lockdown) as agent:
        profiles = [profile.plist for profile in await agent.copy_all()]
    ends = [
        profile["ExpirationDate"]
        for profile in profiles
        if _is_for(
            str(profile.get("Entitlements", {}).get("application-identifier", "")), installed["CFBundleIdentifier"]
        )
    ]
    # By the clock of the phone, which decides. Property lists give times in UTC, without saying so.
    now = await phone.value("TimeIntervalSince1970")
    at = datetime.fromtimestamp(now, UTC) if now else datetime.now(UTC)
    return bool(ends) and max(ends) < at.replace(tzinfo=None)


def _is_for(app_id: str, bundle_id: str) -> bool:
    allowed = app_id.partition(".")[2]
    return allowed == bundle_id or (allowed.endswith("*") and bundle_id.startswith(allowed[:-1]))


def _plain(app: dict[str, Any]) -> dict[str, Any]:
    chosen = {name: app.get(name) for name in _VALUES}
    result: dict[str, Any] = json.loads(json.dumps(chosen, default=lambda value: base64.b64encode(value).decode()))
    return result
