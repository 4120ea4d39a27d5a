"""``pm`` and ``run-as``: installing, removing and finding apps."""

from __future__ import annotations

import itertools
from pathlib import Path

from tests.vphone.apk import Refusal
from tests.vphone.calls import Call
from tests.vphone.packages import InstallError, InstallOptions
from tests.vphone.system import System

# Where the phone writes an APK that comes in through a pipe.
STAGED = "/data/app/vmdl{number}.tmp.apk"
FRAMEWORK = "/system/framework/framework-res.apk"
_numbers = itertools.count(1000)
# Options of install that have a value behind them.
VALUED = {"-i", "-S", "--user", "--abi", "--install-location", "--originating-uri"}


def pm(system: System, call: Call) -> int:
    """Run a command of the package manager."""
    verb, *args = call.args or [""]
    match verb:
        case "install":
            return _install(system, call, args)
        case "uninstall":
            return _uninstall(system, call, args)
        case "path":
            return _path(system, call, args[-1] if args else "")
        case "list":
            return _list(system, call, args)
        case "clear":
            known = system.packages.find(args[-1] if args else "") is not None
            if known:
                system.apps.stop(args[-1])
                system.packages.clear(args[-1])
            call.out("Success\n" if known else "Failed\n")
            return 0 if known else 1
        case "compile":
            call.out("Success\n")
            return 0
        case _:
            call.err(f"Unknown command: {verb}\n")
            return 255


def run_as(system: System, call: Call) -> int:
    """Say whether a command may run as an app; the shell then runs it."""
    name = call.args[0] if call.args else ""
    package = system.packages.find(name)
    if package is None:
        call.err(f"run-as: unknown package: {name}\n")
        return 1
    if not package.apk.debuggable:
        call.err(f"run-as: package not debuggable: {name}\n")
        return 1
    return 0


def _install(system: System, call: Call, args: list[str]) -> int:
    named, size, options = _read(system, args)
    staged = None
    try:
        if named is None:
            staged = system.jail.resolve(STAGED.format(number=next(_numbers)))
            _stage(call, staged, size)
        file = staged or system.jail.resolve(named or "")
        if not file.is_file():
            call.err(f"Error: Unable to open file: {named}\nConsider using a file under /data/local/tmp/\n")
            call.out("Error: Can't open file: " + (named or "") + "\n")
            return 1
        package = system.packages.install(file, options)
    except InstallError as refused:
        call.out(f"Failure [{refused}]\n")
        return 1
    finally:
        if staged is not None:
            staged.unlink(missing_ok=True)
    system.apps.stop(package.name)
    system.log.add("I", "PackageManager", f"installed {package.name} {package.apk.version_name}", buffer="system")
    call.out("Success\n")
    return 0


def _read(system: System, args: list[str]) -> tuple[str | None, int | None, InstallOptions]:
    """The file, None for standard input, its size if given, and the options."""
    rest, named, size, flags = list(args), None, None, set()
    while rest:
        word = rest.pop(0)
        if word in VALUED:
            value = rest.pop(0) if rest else ""
            size = int(value) if word == "-S" else size
        elif word.startswith("-") and word != "-":
            flags.add(word)
        elif word != "-":
            named = word
    # Since Android 9 an app that is there is replaced unless -R says not to.
    replace = "-R" not in flags if system.state.api >= 28 else "-r" in flags
    return named, size, InstallOptions(replace=replace, downgrade="-d" in flags)


def _stage(call: Call, place: Path, size: int | None) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        got = call.read(place, size)
    except OSError as error:
        raise InstallError(Refusal.INSUFFICIENT_STORAGE, "Failed to allocate the session's space") from error
    if size is not None and got != size:
        raise InstallError(Refusal.INVALID_APK, f"got {got} of {size} bytes")


def _uninstall(system: System, call: Call, args: list[str]) -> int:
    name = args[-1] if args else ""
    system.apps.stop(name)
    if not system.packages.remove(name, keep_data="-k" in args):
        call.out("Failure [DELETE_FAILED_INTERNAL_ERROR]\n")
        return 1
    call.out("Success\n")
    return 0


def _path(system: System, call: Call, name: str) -> int:
    package = system.packages.find(name)
    path = FRAMEWORK if name == "android" else package.path if package else None
    if path is None:
        return 1
    call.out(f"package:{path}\n")
    return 0


def _list(system: System, call: Call, args: list[str]) -> int:
    if args[:1] != ["packages"]:
        call.err(f"Error: unknown list type '{' '.join(args[:1])}'\n")
        return 255
    part = next((word for word in args[1:] if not word.startswith("-")), "")
    for package in system.packages.all():
        if part in package.name:
            code = f" versionCode:{package.apk.version_code}" if "--show-versioncode" in args else ""
            call.out(f"package:{package.name}{code}\n")
    return 0
