"""``phonebench runner``: builds the apps that measure on phones, and installs them."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from harness.cli.console import print_json, print_table
from harness.cli.options import json_option, listed, together
from harness.cli.paths import PATH

if TYPE_CHECKING:
    from harness.runners.android.build import ApkOptions
    from harness.runners.android.keys import SigningKey
    from harness.runners.android.records import BuiltApk, Runtime
    from harness.runners.android.tools import Toolbox

_Name = TypeVar("_Name", bound=StrEnum)

build_options = together(
    listed("-r", "--runtime", help="onnxruntime, tflite, pytorch, executorch.  [default: all]"),
    listed("--abi", help="Processor types: arm64-v8a, armeabi-v7a, x86_64, x86.  [default: all but x86]"),
    click.option(
        "--library",
        type=PATH,
        metavar="FILE.aar",
        help="Use this library of the one --runtime instead of the pinned one.",
    ),
    click.option(
        "--npu-libraries",
        type=PATH,
        metavar="DIR",
        help="Pack Qualcomm's libraries from a folder of phonebench npu, with --library.",
    ),
    click.option(
        "--key",
        type=PATH,
        metavar="FILE",
        help="Sign with this key store.  [default: one that is created once and kept]",
    ),
    click.option("--key-password", type=PATH, metavar="FILE", help="The file with the password of --key."),
    click.option(
        "--key-alias", metavar="NAME", default="phonebench", show_default=True, help="The name of the key in --key."
    ),
    click.option(
        "--require-signature",
        type=PATH,
        metavar="PUBKEY",
        help="Build apps that run only files that this public key has signed.",
    ),
    click.option("--debuggable", is_flag=True, help="Allow run-as; slows Java code, which each result notes."),
    click.option(
        "--sdk",
        type=PATH,
        metavar="DIR",
        envvar="ANDROID_HOME",
        show_envvar=True,
        help="An Android SDK with build-tools.",
    ),
    click.option("--out", type=PATH, metavar="DIR", help="Where to write the APKs.  [default: android_runner/apks]"),
)


@click.group()
def runner() -> None:
    """Build the apps that measure on phones, and install them."""


@runner.command(short_help="Build, sign and verify the runner apps.")
@click.argument("system", type=click.Choice(["android", "ios"]), metavar="SYSTEM")
@build_options
@click.option("--team", metavar="ID", help="ios: the Apple team that signs.  [default: none: sign the IPA yourself]")
@click.option("--bundle-id", metavar="ID", help="ios: the app's id; a free team needs one of its own.")
@click.option("--no-pods", is_flag=True, help="ios: without the runtimes from CocoaPods (.tflite and .ptl).")
@json_option
@click.pass_context
def build(context: click.Context, /, system: str, as_json: bool, **options: Any) -> int:
    """Build, sign and verify the runner apps of SYSTEM: android or ios.

    android needs a clone of phonebench, a JDK 17, Maven, npm, aapt2 and apksigner. ios needs a clone, and a Mac with
    Xcode, XcodeGen and CocoaPods.
    """
    from click.core import ParameterSource

    from harness.errors import UsageError

    given = {name for name in options if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    build_system, own = _BUILDERS[system]
    if foreign := sorted(given - own - {"out"}):
        msg = f"--{foreign[0].replace('_', '-')} does not apply to {system}; leave it out"
        raise UsageError(msg)
    return build_system(options, as_json)


def _build_ios(options: dict[str, Any], as_json: bool) -> int:
    from harness.errors import BuildError
    from harness.runners.ios.build import IosBuild, build_ios

    ours = {name: options[name] for name in ("team", "bundle_id") if options[name]}
    try:
        key = _trusted_key(options)
        ipa = build_ios(IosBuild(out=options["out"], pods=not options["no_pods"], trusted_key=key, **ours))
    except OSError as error:
        msg = f"building the iOS app failed: {error}; free some space, or choose another folder with --out"
        raise BuildError(msg) from error
    if as_json:
        print_json({"schema": 1, "ipa": str(ipa)})
    else:
        click.echo(f"{ipa}\nto install: phonebench runner install ios --ipa {shlex.quote(str(ipa))}")
    return 0


def _build_android(options: dict[str, Any], as_json: bool) -> int:
    from harness.errors import BuildError
    from harness.runners.android.apks import default_workshop
    from harness.runners.android.build import build_apks

    runtimes, apk_options = _build_order(options)
    shop = default_workshop(sdk=options["sdk"], out=options["out"])
    key = _key(options, shop.tools)
    built: list[BuiltApk] = []
    failed: list[str] = []
    for runtime in runtimes:
        click.echo(f"building the {runtime.value} app, one APK per processor type", err=True)
        try:
            built += build_apks(runtime, apk_options, key, shop)
        except BuildError as error:
            failed.append(f"{runtime.value}: {error}")
    _show(built, failed, as_json=as_json)
    if built and options["out"] is not None and not as_json:
        click.echo(f"to install: phonebench runner install android --apks {shlex.quote(str(options['out']))}")
    return BuildError.exit_code if failed else 0


# What builds the apps of each system, and the options that it has besides --out.
_BUILDERS: dict[str, tuple[Callable[[dict[str, Any], bool], int], frozenset[str]]] = {
    "android": (
        _build_android,
        frozenset(
            {
                "runtime",
                "abi",
                "library",
                "npu_libraries",
                "key",
                "key_password",
                "key_alias",
                "require_signature",
                "debuggable",
                "sdk",
            }
        ),
    ),
    "ios": (_build_ios, frozenset({"team", "bundle_id", "no_pods", "require_signature"})),
}


@runner.command(short_help="Install runner apps on a device.")
@click.argument("system")
@click.option("-d", "--device", metavar="KEY", help="Which device of SYSTEM.  [default: the only one]")
@listed(
    "-r", "--runtime", help="onnxruntime, tflite, pytorch, executorch; ios: driver, app.  [default: all that are built]"
)
@click.option("--apks", type=PATH, metavar="DIR", help="Where the APKs are.  [default: android_runner/apks]")
@click.option("--ipa", type=PATH, metavar="FILE", help="The runner app for iPhones.  [default: the one built here]")
@json_option
def install(
    system: str,
    device: str | None,
    apks: Path | None,
    ipa: Path | None,
    as_json: bool,
    runtime: tuple[list[str], ...],
) -> int:
    """Install what runs models on a device of SYSTEM, where it is missing or outdated: android, ios, ssh or web.

    android: the runner apps built here. After phonebench runner build --out DIR, add --apks DIR.

    ios: the driver on this computer, once, and the runner app of --ipa on an iPhone.

    ssh: the named runtimes, on a board; --apks is then a folder of wheels. web: the runtimes of browsers, on this
    computer; --apks is then a folder of their archives.
    """
    from harness.devices.registry import DEVICE_KINDS, kind_of
    from harness.errors import DeviceError, UnknownNameError, UsageError

    installers = {kind.name: kind.install_runners for kind in DEVICE_KINDS.values() if kind.install_runners}
    if system not in installers:
        raise UnknownNameError(system, kind="system", allowed=installers)
    key = device or system
    if kind_of(key).name != system:
        msg = f"--device is {key!r}, which is not of kind {system}; name one that is, or leave it out"
        raise UsageError(msg)
    _check_place(apks, ipa, takes_ipa="ipa" in DEVICE_KINDS[system].settings)
    apps = installers[system](key, tuple(name for names in runtime for name in names), ipa or apks)
    if as_json:
        rows = [{"runtime": app.runtime, "version": app.version, "error": app.error or None} for app in apps]
        print_json({"schema": 1, "apps": rows})
    else:
        print_table(("runtime", "on the device", ""), [(app.runtime, app.version or "no", app.error) for app in apps])
    return DeviceError.exit_code if any(app.error for app in apps) else 0


def _check_place(apks: Path | None, ipa: Path | None, *, takes_ipa: bool) -> None:
    """Raise `UsageError` unless the option that says where the apps are is the system's."""
    from harness.errors import UsageError

    if ipa is not None and not takes_ipa:
        msg = f"--ipa {str(ipa)!r} is a runner app for iPhones; leave it out, or install on ios"
        raise UsageError(msg)
    if apks is not None and takes_ipa:
        msg = f"--apks {str(apks)!r} is for other systems; give the runner app for iPhones with --ipa FILE"
        raise UsageError(msg)


def _build_order(options: dict[str, Any]) -> tuple[tuple[Runtime, ...], ApkOptions]:
    """Return the runtimes to build apps for, and how to build them. Raises `UsageError`."""
    from harness.errors import UsageError
    from harness.runners.android.build import ApkOptions
    from harness.runners.android.records import Abi, Runtime

    runtimes = _names(options["runtime"], Runtime, kind="runtime") or tuple(Runtime)
    abis = tuple(sorted(_names(options["abi"], Abi, kind="ABI"))) or None
    library: Path | None = options["library"]
    if library is not None and len(runtimes) != 1:
        msg = f"--library {str(library)!r} is the library of one runtime; name that runtime with --runtime"
        raise UsageError(msg)
    npu: Path | None = options["npu_libraries"]
    if npu is not None and (library is None or runtimes != (Runtime.ONNXRUNTIME,)):
        msg = (
            f"--npu-libraries {str(npu)!r} needs ONNX Runtime with Qualcomm's provider: add --runtime onnxruntime "
            "--library onnxruntime-android-qnn.aar"
        )
        raise UsageError(msg)
    key = _trusted_key(options)
    apk_options = ApkOptions(
        abis=abis, debuggable=options["debuggable"], library=library, npu_libraries=npu, trusted_key=key
    )
    return runtimes, apk_options


def _trusted_key(options: dict[str, Any]) -> bytes:
    """The PEM text of the public key that the apps get, empty without one. Raises `SignatureError`."""
    trusted: Path | None = options["require_signature"]
    if trusted is None:
        return b""
    from harness.signing.keys import read_trusted_key

    return read_trusted_key(trusted).pem


def _names(lists: tuple[list[str], ...], members: type[_Name], *, kind: str) -> tuple[_Name, ...]:
    """Return the named members, each once. Raises `UnknownNameError`."""
    from harness.errors import UnknownNameError

    names = [name for part in lists for name in part]
    for name in names:
        if name not in set(members):
            raise UnknownNameError(name, kind=kind, allowed=[member.value for member in members])
    return tuple(dict.fromkeys(members(name) for name in names))


def _key(options: dict[str, Any], tools: Toolbox) -> SigningKey:
    from harness.runners.android.apks import default_key
    from harness.runners.android.keys import given_key

    if options["key"] is None:
        return default_key(tools)
    return given_key(options["key"], options["key_password"], options["key_alias"])


def _show(built: list[BuiltApk], failed: list[str], *, as_json: bool) -> None:
    import msgspec

    from harness.records import units

    if as_json:
        apks = [msgspec.to_builtins(apk.facts) | {"path": str(apk.path)} for apk in built]
        print_json({"schema": 1, "apks": apks, "failed": failed})
    elif built:
        titles = ("runtime", "version", "ABIs", "size", "16 KB pages", "library", "file")
        print_table(titles, [_row(apk, units.size(apk.facts.bytes)) for apk in built])
    for reason in failed:
        click.echo(f"phonebench: {reason}", err=True)


def _row(apk: BuiltApk, size: str) -> tuple[str, ...]:
    small = sorted({native.name for native in apk.facts.natives if native.page_bytes < 16_384})
    pages = f"not {', '.join(small)}" if small else "yes"
    abis = ", ".join(abi.value for abi in apk.abis)
    return (apk.runtime.value, apk.version_name, abis, size, pages, apk.facts.library, str(apk.path))
