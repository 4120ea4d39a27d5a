"""Finds a Vulkan driver for runtimes that compute on a GPU through Vulkan.

A GPU comes with a driver of its own. Where there is none, the driver that Chromium and Chrome bring is used: it
computes on the processor. What a GPU delegate takes, refuses and computes can so be seen on any computer, but no speed.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path

LOADER = "libvulkan.so.1"
# Where the loader looks for drivers, below the root and the home folder (Khronos, "Driver interface to the loader").
_MANIFESTS = ("usr/share/vulkan/icd.d", "usr/local/share/vulkan/icd.d", "etc/vulkan/icd.d")
_OF_THE_USER = ".local/share/vulkan/icd.d"
_CHOSEN = ("VK_DRIVER_FILES", "VK_ICD_FILENAMES")
_BROWSERS = (
    "usr/lib/chromium",
    "usr/lib/chromium-browser",
    "usr/lib64/chromium-browser",
    "opt/google/chrome",
    "opt/chromium.org/chromium",
)
_SOFTWARE = "vk_swiftshader_icd.json"


class NoVulkanError(Exception):
    """There is no Vulkan driver on this computer. The message says what to install."""


def software_driver(root: Path = Path("/")) -> Path | None:
    """Return the manifest of the driver that a browser below ``root`` brings, None without one."""
    places = (root / folder for folder in _BROWSERS)
    return next((place / _SOFTWARE for place in places if (place / _SOFTWARE).is_file()), None)


def has_own_driver(environment: Mapping[str, str], root: Path = Path("/"), home: Path | None = None) -> bool:
    """Return whether a driver is installed, or was chosen by an environment variable."""
    if any(environment.get(name) for name in _CHOSEN):
        return True
    folders = [root / folder for folder in _MANIFESTS] + ([home / _OF_THE_USER] if home else [])
    return any(True for folder in folders for _ in folder.glob("*.json"))


def prepare_vulkan(
    environment: MutableMapping[str, str] = os.environ, root: Path = Path("/"), home: Path | None = None
) -> bool:
    """Load the Vulkan loader and choose a driver for this process; return whether it is that of a browser.

    Systems other than Linux have a GPU interface of their own, and nothing to prepare. ``home`` is the user's home
    folder if None. Raises `NoVulkanError`.
    """
    if sys.platform != "linux":
        return False
    software = software_driver(root)
    if not has_own_driver(environment, root, home or Path.home()):
        if software is None:
            msg = (
                "this computer has no Vulkan driver: install that of its GPU (on Debian libvulkan1 and "
                "mesa-vulkan-drivers), or Chromium, whose driver computes on the processor"
            )
            raise NoVulkanError(msg)
        environment.update(dict.fromkeys(_CHOSEN, str(software)))
    _load_the_loader(software)
    return software is not None and environment.get(_CHOSEN[0]) == str(software)


def _load_the_loader(software: Path | None) -> None:
    """Load libvulkan, so that a library that asks for it by name gets it. A browser has one beside its driver."""
    names = [LOADER, *([str(software.parent / LOADER)] if software else [])]
    for name in names:
        try:
            ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return
    msg = f"this computer has a Vulkan driver but no {LOADER}: install it (on Debian libvulkan1)"
    raise NoVulkanError(msg)
