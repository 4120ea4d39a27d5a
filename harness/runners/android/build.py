"""From sources to a signed APK: Maven compiles, D8 makes dex, aapt2 the manifest, and our own writer the file.

No Android SDK is needed: the platform's classes and resources come from a Maven artifact. The same inputs make the same
bytes up to the signature.
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
from harness.runners.android.pins import D8_JAR
from harness.runners.android.records import Abi, ApkFacts, BuiltApk, Runtime, app_id
from harness.runners.android.store import apk_path, keep
from harness.runners.android.tools import Tool, Toolbox
from harness.runners.android.verify import (
    MIN_SDK,
    check_badging,
    check_same_everywhere,
    expected,
    file_sha256,
    native_libraries,
    read_badging,
    signer,
)

TARGET_SDK = 34
# The id in the manifest's source, which each runtime's own takes the place of.
_MANIFEST_ID = "org.phonebench.runner.app"
_PLATFORM_LIST = "app/target/platform.classpath"
_PLATFORM = re.compile(r"android-all-\d+.*\.jar$")
_NEEDED = (Tool.MAVEN, Tool.JAVAC, Tool.AAPT2, Tool.APKSIGNER)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApkOptions:
    """What an APK is to be like; ``library`` is a file that the user gives in place of the pinned one."""

    abis: tuple[Abi, ...] = (Abi.ARM64,)
    debuggable: bool = False
    library: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Where things are: the tools, the folder for what is fetched and made on the way, the folder for finished APKs."""

    tools: Toolbox
    work: Path
    out: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsigned:
    """An APK before it is signed, and what went into it."""

    runtime: Runtime
    path: Path
    library: Library
    version_name: str
    options: ApkOptions


def build_apk(runtime: Runtime, options: ApkOptions, key: SigningKey, shop: Workshop) -> BuiltApk:
    """Build, sign and verify the app of ``runtime``. Raises `BuildError`, `UsageError`, `OSError`."""
    for tool in _NEEDED:
        shop.tools.find(tool)
    path = apk_path(shop.out, runtime)
    path.parent.mkdir(parents=True, exist_ok=True)
    shop.work.mkdir(parents=True, exist_ok=True)
    # Two builds at once would compile into the same folders of the checkout.
    with FileLock(shop.work / "build.lock"):
        unsigned = build_unsigned(runtime, options, shop)
        _sign(unsigned.path, path, key, shop.tools)
        return keep(path, _verified(path, unsigned, shop.tools))


def build_unsigned(runtime: Runtime, options: ApkOptions, shop: Workshop) -> Unsigned:
    """Return an APK without a signature. Raises as `build_apk` does."""
    library = fetch_library(runtime, shop.work / "libraries", shop.tools, given=options.library)
    _check_abis(library, options.abis)
    version = version_name(runtime, abis=options.abis, library_sha256=library.sha256, debuggable=options.debuggable)
    made = Unsigned(
        runtime=runtime,
        path=shop.work / runtime.value / "unsigned.apk",
        library=library,
        version_name=version,
        options=options,
    )
    made.path.parent.mkdir(parents=True, exist_ok=True)
    jars = compile_runner(runtime, library, shop.tools)
    platform = _platform()
    dex = _dex((*jars, *library.classes), platform, made.path.with_name("dex.zip"), shop)
    base = _manifest(made, platform, shop.tools)
    write_archive(made.path, _entries(made, base, dex, jars))
    return made


def compile_runner(runtime: Runtime, library: Library, tools: Toolbox) -> tuple[Path, ...]:
    """Compile what an app is made of with Maven; return the jars of its own classes. Raises `BuildError`."""
    root = sources()
    arguments = ["-q", "-B", "-f", str(root / "pom.xml"), "-pl", f"app,{runtime.value}", "-am", "package"]
    arguments += ["-Dmaven.test.skip=true", f"-D{runtime.value}.library={library.classes[0]}"]
    tools.run(Tool.MAVEN, *arguments, what="compiling the Android runner")
    modules = ("core", runtime.value, "app")
    return tuple(_one(root / module / "target", "runner-*.jar") for module in modules)


def _check_abis(library: Library, abis: Sequence[Abi]) -> None:
    missing = [abi.value for abi in abis if abi not in library.abis()]
    if missing or not abis:
        has = ", ".join(abi.value for abi in library.abis())
        msg = f"{library.title} has no native code for {missing}: ask with --abi for some of {has}"
        raise BuildError(msg)


def _platform() -> Path:
    """The jar of Android's own classes and resources, on the class path that Maven compiled the app with."""
    listed = (sources() / _PLATFORM_LIST).read_text(encoding="utf-8").strip().split(":")
    found = next((Path(entry) for entry in listed if _PLATFORM.search(entry)), None)
    if found is None:
        msg = f"{_PLATFORM_LIST} names no android-all jar: build the runner anew after mvn clean"
        raise BuildError(msg)
    return found


def _dex(jars: Sequence[Path], platform: Path, target: Path, shop: Workshop) -> Path:
    """Make dex of classes; the platform's jar has no java.lang.Object, hence the JDK beside it."""
    tools = shop.tools
    d8 = fetch_d8(shop)
    arguments = ["-cp", str(d8), "com.android.tools.r8.D8", "--release", "--min-api", str(MIN_SDK)]
    arguments += ["--lib", str(platform), "--lib", str(tools.java_home()), "--output", str(target)]
    tools.run(Tool.JAVA, *arguments, *map(str, jars), what="making dex of the Android runner")
    return target


def fetch_d8(shop: Workshop) -> Path:
    """Return the dex compiler's jar, pinned. Raises `BuildError`."""
    return fetch_maven(D8_JAR, shop.work / "libraries" / "downloads", shop.tools)


def _manifest(made: Unsigned, platform: Path, tools: Toolbox) -> Path:
    """Compile the manifest into an APK that holds nothing else."""
    text = (sources() / "app/src/main/AndroidManifest.xml").read_text(encoding="utf-8")
    runtime = made.runtime
    own = text.replace(_MANIFEST_ID, app_id(runtime)).replace("phonebench app", f"phonebench {runtime.value}")
    manifest, base = made.path.with_name("AndroidManifest.xml"), made.path.with_name("base.apk")
    manifest.write_text(own, encoding="utf-8")
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
    arguments += ["--version-code", str(_version_code()), "--version-name", made.version_name]
    arguments += ["--debug-mode"] if made.options.debuggable else []
    tools.run(Tool.AAPT2, *arguments, what="compiling the manifest of the Android runner")
    return base


def _version_code() -> int:
    major, minor, patch = (int(part) for part in harness.__version__.split("."))
    return 10_000 * major + 100 * minor + patch


def _entries(made: Unsigned, base: Path, dex: Path, jars: Sequence[Path]) -> Iterator[Entry]:
    """The files of the APK in a fixed order, native libraries last."""
    for archive, wanted in (
        (base, r".*"),
        (dex, r"classes\d*\.dex"),
        *((jar, r"META-INF/services/.+") for jar in jars),
    ):
        with zipfile.ZipFile(archive) as opened:
            names = sorted(n for n in opened.namelist() if re.fullmatch(wanted, n) and not n.endswith("/"))
            yield from (Entry(name=name, data=opened.read(name)) for name in names)
    # What the app calls its library where the runtime does not tell.
    yield Entry(name="META-INF/phonebench/library", data=f"{made.library.title}\n".encode())
    for abi in sorted(made.options.abis):
        for file in made.library.native_files(abi):
            yield Entry(name=f"lib/{abi.value}/{file.name}", data=file.read_bytes())


def _sign(unsigned: Path, path: Path, key: SigningKey, tools: Toolbox) -> None:
    arguments: list[str | Path] = ["sign", "--ks", key.store, "--ks-key-alias", key.alias]
    arguments += ["--ks-pass", f"file:{key.password_file}"]
    # Android 8 and later look at the schemes v2 and v3 alone.
    arguments += ["--min-sdk-version", str(MIN_SDK), "--v1-signing-enabled", "false"]
    arguments += ["--v2-signing-enabled", "true", "--v3-signing-enabled", "true", "--v4-signing-enabled", "false"]
    tools.run(Tool.APKSIGNER, *arguments, "--out", path, unsigned, what="signing the Android runner")


def _verified(path: Path, made: Unsigned, tools: Toolbox) -> ApkFacts:
    natives = native_libraries(path)
    check_same_everywhere(natives)
    identity, options = app_id(made.runtime), made.options
    wanted = expected(app_id=identity, version_name=made.version_name, abis=options.abis, debuggable=options.debuggable)
    check_badging(read_badging(path, tools), wanted=wanted)
    return ApkFacts(
        runtime=made.runtime,
        app_id=identity,
        version_name=made.version_name,
        signer_sha256=signer(path, tools),
        abis=tuple(sorted(options.abis)),
        debuggable=options.debuggable,
        library=made.library.title,
        library_sha256=made.library.sha256,
        sha256=file_sha256(path),
        bytes=path.stat().st_size,
        natives=natives,
    )


def _one(folder: Path, pattern: str) -> Path:
    found = sorted(path for path in folder.glob(pattern) if not path.stem.endswith(("-sources", "-tests")))
    if len(found) != 1:
        msg = f"Maven left {[path.name for path in found]} in {str(folder)!r}, one jar was expected: run mvn clean"
        raise BuildError(msg)
    return found[0]
