"""Checks the compiled manifest of an APK: who may start its components, and in which process they run.

A mistake here shows only on a phone: another app could start a measurement, or turning the phone a second one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BuildError
from harness.runners.android.tools import Tool, Toolbox

# The adb shell holds it; an app from a store cannot (`packages/Shell/AndroidManifest.xml` of Android).
SHELL_ONLY = "android.permission.DUMP"
# Every change of the configuration that has a name in Android 14, so that none makes the activity again.
EVERY_CHANGE = 0x5000FFFF

_ELEMENT = re.compile(r"^ *E: (\S+)", re.MULTILINE)
_ATTRIBUTE = re.compile(r'^ *A: \S*?([A-Za-z]+)(?:\(0x[0-9a-f]+\))?=(?:"([^"]*)"|(\S+))', re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """An activity or a provider. ``config_changes``: the bits of the changes that an activity handles itself."""

    kind: str
    name: str
    exported: bool
    permission: str = ""
    process: str = ""
    config_changes: int = 0


RIGHT = (
    Component(
        kind="activity",
        name="org.phonebench.runner.RunnerActivity",
        exported=True,
        permission=SHELL_ONLY,
        config_changes=EVERY_CHANGE,
    ),
    # Android starts a provider's process to answer a read. It must not pass for the process that measures.
    Component(
        kind="provider",
        name="org.phonebench.runner.JobProvider",
        exported=True,
        permission=SHELL_ONLY,
        process=":door",
    ),
)
# Of an app that carries a job. The game loop is started by an app of Test Lab, which holds no permission of the shell.
RIGHT_WITH_LOOP = (
    *RIGHT,
    Component(
        kind="activity",
        name="org.phonebench.runner.TestLoopActivity",
        exported=True,
        config_changes=EVERY_CHANGE,
    ),
)


def check_components(path: Path, tools: Toolbox, right: tuple[Component, ...] = RIGHT) -> None:
    """Raise `BuildError` unless the components of an APK are the ``right`` ones, those of a correct build."""
    command = ("dump", "xmltree", "--file", "AndroidManifest.xml", path)
    present = parse_components(tools.run(Tool.AAPT2, *command, what=f"reading the manifest of {path.name!r}"))
    if present != right:
        msg = f"the components of {path.name!r} are wrong: got {present}, expected {right}"
        raise BuildError(msg)


def parse_components(tree: str) -> tuple[Component, ...]:
    """Return the components in the output of ``aapt2 dump xmltree``, in order."""
    parts = _ELEMENT.split(tree)[1:]
    return tuple(
        _component(kind, dict(_attributes(text)))
        for kind, text in zip(parts[::2], parts[1::2], strict=True)
        if kind in ("activity", "provider", "service", "receiver")
    )


def _attributes(text: str) -> list[tuple[str, str]]:
    return [(name, quoted or plain) for name, quoted, plain in _ATTRIBUTE.findall(text)]


def _component(kind: str, attributes: dict[str, str]) -> Component:
    return Component(
        kind=kind,
        name=attributes.get("name", ""),
        exported=attributes.get("exported") == "true",
        permission=attributes.get("permission", ""),
        process=attributes.get("process", ""),
        config_changes=int(attributes.get("configChanges", "0"), 0),
    )
