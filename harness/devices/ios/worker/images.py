"""The developer image, without which nothing can be started on a phone, and the switch for developer mode."""

from __future__ import annotations

from typing import Any

from packaging.version import Version
from pymobiledevice3.exceptions import NotMountedError
from pymobiledevice3.services.amfi import AmfiService
from pymobiledevice3.services.mobile_image_mounter import (
    MobileImageMounterService,
    auto_mount,
    image_type_for_device,
)

from harness.devices.ios.worker.phone import Phone

# From here on the image is a cryptex, which is installed through the tunnel.
_CRYPTEX = Version("27.0")


async def mounted(phone: Phone) -> bool:
    """Return whether the developer image is mounted."""
    async with MobileImageMounterService(phone.lockdown) as mounter:
        return bool(await mounter.is_image_mounted(image_type_for_device(phone.lockdown)))


async def mount(phone: Phone) -> None:
    """Fetch the image where it is missing on this computer, have it signed by Apple, and mount it."""
    services: Any = phone.lockdown if phone.version < _CRYPTEX else await phone.tunnel()
    try:
        await auto_mount(services)
    except (OSError, RuntimeError, ValueError) as error:
        # What fails here is the way to Apple or to the place of the images, not the cable.
        msg = f"the image could not be fetched: {type(error).__name__}"
        raise NotMountedError(msg) from error


async def reveal(phone: Phone) -> None:
    """Make the phone show the entry for developer mode in its settings."""
    await AmfiService(phone.lockdown).reveal_developer_mode_option_in_ui()
