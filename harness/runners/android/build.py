"""Builds signed APKs from sources: Maven compiles, D8 makes dex, aapt2 the manifest, and `archive` writes the file.

There is one APK per ABI, because a phone needs the native code of one only, which is most of an APK. No Android SDK is
needed, because the platform's classes and resources come from a Maven artifact. The same inputs give the same bytes,
except for the signature.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

import harness
from harness.errors import BuildError
from harness.runners.android.archive import Entry, write_archive
from harness.runners.android.identity import sources, version_name
from harness.runners.android.keys import SigningKey
from harness.runners.android.libraries import Library, fetch_library, fetch_maven
from harness.runners.android.manifest import RIGHT, RIGHT_WITH_LOOP, check_components
from harness.runners.android.pins import D8_JAR
from harness.runners.android.records import Abi, ApkFacts, BuiltApk, Runtime, app_id
from harness.runners.android.store import apk_path, forget, keep
from harness.runners.android.tools import Tool, Toolbox
from harness.runners.android.verify import (
    MIN_SDK,
    check_badging,
    expected,
    native_libraries,
    read_badging,
    signer,
)
from harness.system.files import file_sha256

TARGET_SDK = 34
# Phones of today, older and cheaper ones, and the emulator. Android's last phone with x86 alone is from 2015.
DEFAULT_ABIS = (Abi.ARM64, Abi.ARM, Abi.X86_64)
# The app id in the manifest's source, which is replaced by that of the runtime.
_MANIFEST_ID = "org.phonebench.runner.app"
# Our own files in an APK. One is the manifest of the same app with a job inside (`loop_apk`): only the build has
# Android's platform, without which no manifest can be compiled.
_OWN = "META-INF/phonebench"
LOOP_MANIFEST = f"{_OWN}/loop-manifest.xml"
_MANIFEST = "AndroidManifest.xml"
_END_OF_APPLICATION = "    </application>"
_PLATFORM_LIST = "app/target/platform.classpath"
_PLATFORM = re.compile(r"android-all-\d+.*\.jar$")
_NEEDED = (Tool.MAVEN, Tool.JAVAC, Tool.AAPT2, Tool.APKSIGNER)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApkOptions:
    """The options of a build.

    ``abis``: one APK is built for each; None for all of `DEFAULT_ABIS` that the library has. ``library`` is the user's
    own file instead of the pinned one. ``npu_libraries`` is a folder of ``phonebench npu`` with libraries to add to it.
    ``trusted_key``: the PEM text of the public key that must have signed whatever the app runs; empty to run anything.
    """

    abis: tuple[Abi, ...] | None = None
    debuggable: bool = False
    library: Path | None = None
    npu_libraries: Path | None = None
    trusted_key: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """The places of a build: ``tools``, ``work`` for downloads and intermediate files, ``out`` for finished APKs."""

    tools: Toolbox
    work: Path
    out: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What the APKs of a runtime share: the library, our jars, their dex, and Android's own classes."""

    runtime: Runtime
    library: Library
    jars: tuple[Path, ...]
    dex: Path
    platform: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsigned:
    """An unsigned APK and what went into it."""

    runtime: Runtime
    abi: Abi
    path: Path
    library: Library
    version_name: str
    debuggable: bool
    trusted_key: bytes


def build_apks(runtime: Runtime, options: ApkOptions, key: SigningKey, shop: Workshop) -> tuple[BuiltApk, ...]:
    """Build, sign and verify the apps of ``runtime``, one per ABI. Raises `BuildError`, `UsageError`, `OSError`."""
    for tool in _NEEDED:
        shop.tools.find(tool)
    shop.out.mkdir(parents=True, exist_ok=True)
    shop.work.mkdir(parents=True, exist_ok=True)
    with compiling():
        unsigned = build_unsigned(runtime, options, shop)
        # An earlier version built one APK for several ABIs, which must not be taken for a new one.
        forget(apk_path(shop.out, runtime))
        return tuple(_finished(one, key, shop) for one in unsigned)


def _finished(unsigned: Unsigned, key: SigningKey, shop: Workshop) -> BuiltApk:
    path = apk_path(shop.out, unsigned.runtime, unsigned.abi)
    sign_apk(unsigned.path, path, key, shop.tools)
    return keep(path, _verified(path, unsigned, shop.tools))


def compiling() -> FileLock:
    """Return the lock of the checkout, inside which Maven compiles: two builds would overwrite each other's files."""
    folder = sources() / "target"
    folder.mkdir(exist_ok=True)
    return FileLock(folder / "build.lock")


def build_unsigned(runtime: Runtime, options: ApkOptions, shop: Workshop) -> tuple[Unsigned, ...]:
    """Build APKs without a signature, one per ABI. Raises as `build_apks` does."""
    downloads, given, npu = shop.work / "libraries", options.library, options.npu_libraries
    library = fetch_library(runtime, downloads, shop.tools, given=given, npu=npu)
    abis = _abis(library, options.abis)
    folder = shop.work / runtime.value
    folder.mkdir(parents=True, exist_ok=True)
    jars, platform = compile_runner(runtime, library, shop.tools), _platform()
    compiled = Compiled(
        runtime=runtime,
        library=library,
        jars=jars,
        dex=_dex((*jars, *library.classes), platform, folder / "dex.zip", shop),
        platform=platform,
    )
    return tuple(_packed(compiled, abi, options, shop) for abi in abis)


def _packed(compiled: Compiled, abi: Abi, options: ApkOptions, shop: Workshop) -> Unsigned:
    sha256, runtime = compiled.library.sha256, compiled.runtime
    unsigned = Unsigned(
        runtime=runtime,
        abi=abi,
        path=shop.work / runtime.value / f"unsigned-{abi.value}.apk",
        library=compiled.library,
        version_name=version_name(
            runtime,
            abis=[abi],
            library_sha256=sha256,
            debuggable=options.debuggable,
            trusted_key=options.trusted_key,
        ),
        debuggable=options.debuggable,
        trusted_key=options.trusted_key,
    )
    base = _manifest(unsigned, compiled.platform, shop.tools)
    loop = _manifest(unsigned, compiled.platform, shop.tools, loop=True)
    write_archive(unsigned.path, _entries(unsigned, compiled, base, loop))
    return unsigned


def compile_runner(runtime: Runtime, library: Library, tools: Toolbox) -> tuple[Path, ...]:
    """Compile the modules of an app with Maven, and return the jars of our own classes. Raises `BuildError`."""
    root = sources()
    # -pl with -am builds the two modules and those they depend on, instead of every runtime.
    arguments = ["-B", "-f", str(root / "pom.xml"), "-pl", f"app,{runtime.value}", "-am", "package"]
    arguments += ["-Dmaven.test.skip=true", f"-D{runtime.value}.library={library.classes[0]}"]
    tools.run(Tool.MAVEN, *arguments, what="compiling the Android runner")
    modules = ("core", runtime.value, "app")
    return tuple(_one(root / module / "target", "runner-*.jar") for module in modules)


def _abis(library: Library, requested: Sequence[Abi] | None) -> tuple[Abi, ...]:
    """Return the ABIs to build for. Raises `BuildError` for one that the library has no native code for."""
    available = library.abis()
    missing = [abi.value for abi in requested or () if abi not in available]
    chosen = tuple(abi for abi in DEFAULT_ABIS if abi in available) if requested is None else tuple(requested)
    if missing or not chosen:
        names = ", ".join(abi.value for abi in available)
        wanted = missing or [abi.value for abi in DEFAULT_ABIS]
        msg = f"{library.title} has no native code for {wanted}; use --abi with {names}"
        raise BuildError(msg)
    return chosen


def _platform() -> Path:
    """The jar with Android's classes and resources, taken from the class path that Maven compiled the app with."""
    listed = (sources() / _PLATFORM_LIST).read_text(encoding="utf-8").strip().split(":")
    jar = next((Path(entry) for entry in listed if _PLATFORM.search(entry)), None)
    if jar is None:
        msg = f"{_PLATFORM_LIST} names no android-all jar; run mvn clean and build the runner again"
        raise BuildError(msg)
    return jar


def _dex(jars: Sequence[Path], platform: Path, target: Path, shop: Workshop) -> Path:
    """Compile classes to dex. The platform's jar has no java.lang.Object, so the JDK is a second library."""
    tools = shop.tools
    d8 = fetch_d8(shop)
    # It runs for two seconds: the optimising compiler would double the time of a core that it takes.
    arguments = [
        "-XX:TieredStopAtLevel=1",
        "-cp",
        str(d8),
        "com.android.tools.r8.D8",
        "--release",
        "--min-api",
        str(MIN_SDK),
    ]
    arguments += ["--lib", str(platform), "--lib", str(tools.java_home()), "--output", str(target)]
    tools.run(Tool.JAVA, *arguments, *map(str, jars), what="making dex of the Android runner")
    return target


def fetch_d8(shop: Workshop) -> Path:
    """Return the jar of the pinned dex compiler. Raises `BuildError`."""
    return fetch_maven(D8_JAR, shop.work / "libraries" / "downloads", shop.tools)


def manifest_text(runtime: Runtime, *, loop: bool = False, extract: bool = False) -> str:
    """Return the text of an app's manifest, with ``loop`` of one that carries a job.

    With ``extract``, Android unpacks its native libraries, for a processor whose driver cannot read them in the APK.
    """
    folder = sources() / "app/src/main"
    text = (folder / _MANIFEST).read_text(encoding="utf-8")
    # Each runtime has its own app id, so the apps can be installed side by side.
    own = text.replace(_MANIFEST_ID, app_id(runtime)).replace("phonebench app", f"phonebench {runtime.value}")
    if extract:
        own = own.replace('extractNativeLibs="false"', 'extractNativeLibs="true"')
    if not loop:
        return own
    more = (folder / "loop-activity.xml").read_text(encoding="utf-8")
    return own.replace(_END_OF_APPLICATION, f"\n{more}{_END_OF_APPLICATION}")


def _manifest(unsigned: Unsigned, platform: Path, tools: Toolbox, *, loop: bool = False) -> Path:
    """Compile the manifest into an APK that contains nothing else."""
    manifest = unsigned.path.with_name(_MANIFEST)
    base = unsigned.path.with_name("loop.apk" if loop else "base.apk")
    text = manifest_text(unsigned.runtime, loop=loop, extract=unsigned.library.has_npu_code)
    manifest.write_text(text, encoding="utf-8")
    arguments: list[str | Path] = [
        "link",
        "-o",
        base,
        "-I",
        platform,
        "--manifest",
        manifest,
        "--warn-manifest-validation",
    ]
    arguments += ["--min-sdk-version", str(MIN_SDK), "--target-sdk-version", str(TARGET_SDK)]
    arguments += ["--version-code", str(_version_code()), "--version-name", unsigned.version_name]
    arguments += ["--debug-mode"] if unsigned.debuggable else []
    tools.run(Tool.AAPT2, *arguments, what="compiling the manifest of the Android runner")
    check_components(base, tools, RIGHT_WITH_LOOP if loop else RIGHT)
    return base


def _version_code() -> int:
    major, minor, patch = (int(part) for part in harness.__version__.split("."))
    return 10_000 * major + 100 * minor + patch


def _entries(unsigned: Unsigned, compiled: Compiled, base: Path, loop: Path) -> Iterator[Entry]:
    """The files of the APK in a fixed order, native libraries last."""
    # ServiceLoader finds the runtime's adapter by the files in META-INF/services.
    for archive, pattern in (
        (base, r".*"),
        (compiled.dex, r"classes\d*\.dex"),
        *((jar, r"META-INF/services/.+") for jar in compiled.jars),
    ):
        with zipfile.ZipFile(archive) as opened:
            names = sorted(n for n in opened.namelist() if re.fullmatch(pattern, n) and not n.endswith("/"))
            yield from (Entry(name=name, data=opened.read(name)) for name in names)
    # The runtime version in replies, for runtimes that do not report one.
    yield Entry(name=f"{_OWN}/library", data=f"{unsigned.library.title}\n".encode())
    if unsigned.trusted_key:
        yield Entry(name=f"{_OWN}/signing-key.pem", data=unsigned.trusted_key)
    with zipfile.ZipFile(loop) as opened:
        yield Entry(name=LOOP_MANIFEST, data=opened.read(_MANIFEST))
    yield from _terms(unsigned.runtime)
    for file in unsigned.library.native_files(unsigned.abi):
        yield Entry(name=f"lib/{unsigned.abi.value}/{file.name}", data=file.read_bytes())


def _terms(runtime: Runtime) -> Iterator[Entry]:
    """The terms of what is in the APK. Whoever passes it on passes them on too."""
    root = sources().parent
    for name in ("LICENSE", "NOTICE"):
        yield Entry(name=f"{_OWN}/{name}", data=(root / name).read_bytes())
    # The other libraries are under the Apache License, as phonebench is.
    own = sources() / "licences" / f"{runtime.value}.txt"
    if own.is_file():
        yield Entry(name=f"{_OWN}/licences/{own.name}", data=own.read_bytes())


def sign_apk(unsigned: Path, path: Path, key: SigningKey, tools: Toolbox) -> None:
    """Sign an APK into ``path``. Raises `BuildError`."""
    arguments: list[str | Path] = ["sign", "--ks", key.store, "--ks-key-alias", key.alias]
    arguments += ["--ks-pass", f"file:{key.password_file}"]
    # Android 8 and later check only the signature schemes v2 and v3.
    arguments += ["--min-sdk-version", str(MIN_SDK), "--v1-signing-enabled", "false"]
    arguments += ["--v2-signing-enabled", "true", "--v3-signing-enabled", "true", "--v4-signing-enabled", "false"]
    tools.run(Tool.APKSIGNER, *arguments, "--out", path, unsigned, what="signing the Android runner")


def _verified(path: Path, unsigned: Unsigned, tools: Toolbox) -> ApkFacts:
    natives = native_libraries(path)
    identity = app_id(unsigned.runtime)
    right = expected(
        app_id=identity, version_name=unsigned.version_name, abis=(unsigned.abi,), debuggable=unsigned.debuggable
    )
    check_badging(read_badging(path, tools), right=right)
    check_components(path, tools)
    return ApkFacts(
        runtime=unsigned.runtime,
        app_id=identity,
        version_name=unsigned.version_name,
        signer_sha256=signer(path, tools),
        abis=(unsigned.abi,),
        debuggable=unsigned.debuggable,
        library=unsigned.library.title,
        library_sha256=unsigned.library.sha256,
        sha256=file_sha256(path),
        bytes=path.stat().st_size,
        natives=natives,
    )


def _one(folder: Path, pattern: str) -> Path:
    jars = sorted(path for path in folder.glob(pattern) if not path.stem.endswith(("-sources", "-tests")))
    if len(jars) != 1:
        msg = f"Maven left {[path.name for path in jars]} in {str(folder)!r}, but one jar is expected; run mvn clean"
        raise BuildError(msg)
    return jars[0]
