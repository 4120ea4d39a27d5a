"""Fetching libraries and sorting their contents. Scripts stand in for Maven and npm."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.errors import BuildError, UsageError
from harness.runners.android.build import manifest_text
from harness.runners.android.libraries import Library, fetch_library, fetch_maven, members_of, take_apart
from harness.runners.android.pins import MavenFile, NpmFile
from harness.runners.android.records import Abi, Runtime
from harness.runners.android.tools import Toolbox
from harness.system.files import file_sha256
from tests.runners.android.test_apk_tools import script


def jar(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, b"class")
    return out.getvalue()


def aar(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@pytest.fixture
def given(tmp_path: Path) -> Path:
    files = {
        "classes.jar": jar("ai/X.class"),
        "jni/arm64-v8a/libx.so": b"arm",
        "jni/x86_64/libx.so": b"x86",
        "R.txt": b"",
    }
    return aar(tmp_path / "onnx.aar", files)


def taken_apart(given: Path, tmp_path: Path) -> Library:
    return fetch_library(Runtime.ONNXRUNTIME, tmp_path / "work", Toolbox(search=str(tmp_path)), given=given)


def test_a_file_that_the_user_gives_is_taken_apart(given: Path, tmp_path: Path) -> None:
    library = taken_apart(given, tmp_path)
    assert library.abis() == (Abi.ARM64, Abi.X86_64)
    assert [path.read_bytes() for path in library.native_files(Abi.X86_64)] == [b"x86"]
    assert zipfile.ZipFile(library.classes[0]).namelist() == ["ai/X.class"]


def test_an_abi_with_a_part_of_the_native_code_is_not_one_that_it_runs_on(tmp_path: Path) -> None:
    whole = ("arm64-v8a/libx.so", "arm64-v8a/libhelp.so", "x86_64/libx.so", "x86_64/libhelp.so")
    natives = {f"jni/{name}": b"elf" for name in (*whole, "armeabi-v7a/libhelp.so")}
    library = taken_apart(aar(tmp_path / "part.aar", {"classes.jar": jar("ai/X.class"), **natives}), tmp_path)
    assert library.abis() == (Abi.ARM64, Abi.X86_64)


def test_another_file_is_another_library_and_leaves_nothing_of_the_first(given: Path, tmp_path: Path) -> None:
    first = taken_apart(given, tmp_path)
    other = aar(tmp_path / "other.aar", {"classes.jar": jar("ai/Y.class"), "jni/arm64-v8a/liby.so": b"y"})
    second = taken_apart(other, tmp_path)
    assert second.sha256 != first.sha256
    assert second.abis() == (Abi.ARM64,)


def test_libraries_of_a_neural_processor_come_along_for_its_phones_alone(given: Path, tmp_path: Path) -> None:
    npu = tmp_path / "net-v75"
    work, tools = tmp_path / "work", Toolbox(search=str(tmp_path))
    with pytest.raises(UsageError, match=r"--npu-libraries .*net-v75' has no 'libQnnHtp.so' in 'jniLibs/arm64-v8a'"):
        fetch_library(Runtime.ONNXRUNTIME, work, tools, given=given, npu=npu)
    names = ("libQnnHtp.so", "libQnnHtpV75Skel.so", "libQnnHtpV75Stub.so", "libQnnSystem.so")
    (npu / "jniLibs/arm64-v8a").mkdir(parents=True)
    for name in names:
        (npu / "jniLibs/arm64-v8a" / name).write_bytes(name.encode())
    plain = taken_apart(given, tmp_path)
    assert not plain.has_npu_code
    library = fetch_library(Runtime.ONNXRUNTIME, work, tools, given=given, npu=npu)
    assert library.has_npu_code
    assert library.abis() == (Abi.ARM64,)
    assert [file.name for file in library.native_files(Abi.ARM64)] == [*names, "libx.so"]
    # An app with them is another app, whose libraries are files on the phone.
    assert library.sha256 != plain.sha256
    assert [
        manifest_text(Runtime.ONNXRUNTIME, loop=loop, extract=extract).count(
            f'extractNativeLibs="{str(extract).lower()}"'
        )
        for loop in (False, True)
        for extract in (False, True)
    ] == [1, 1, 1, 1]


@pytest.mark.parametrize("content", [b"no zip", None])
def test_what_is_no_aar_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "broken.aar"
    path.write_bytes(content) if content else aar(path, {"R.txt": b""})
    with pytest.raises(UsageError, match=r"broken\.aar"):
        taken_apart(path, tmp_path)


def test_when_no_source_resolves_the_sentence_names_the_file_to_get(tmp_path: Path) -> None:
    script(tmp_path / "bin/mvn", "echo unresolvable; exit 1")
    script(tmp_path / "bin/npm", "exit 1")
    with pytest.raises(
        BuildError, match=r"onnxruntime-android.*asus4.*get onnxruntime-android-1\.29\.0\.aar.*--library"
    ):
        fetch_library(Runtime.ONNXRUNTIME, tmp_path / "work", Toolbox(search=f"{tmp_path}/bin"))


def test_a_file_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    script(tmp_path / "mvn", f"echo other > {tmp_path}/d/a-1.jar")
    file = MavenFile(coordinate="g:a:1", kind="jar", sha256="0" * 64)
    with pytest.raises(BuildError, match=f"'a-1.jar' has the wrong sha256: got .* expected {'0' * 64}"):
        fetch_maven(file, tmp_path / "d", Toolbox(search=str(tmp_path)))


def test_what_is_there_already_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "a-1.jar").write_bytes(b"there")
    file = MavenFile(coordinate="g:a:1", kind="jar", sha256=file_sha256(tmp_path / "a-1.jar"))
    assert fetch_maven(file, tmp_path, Toolbox(search="/nowhere")).read_bytes() == b"there"


def test_maven_is_asked_for_the_classifier_of_a_file(tmp_path: Path) -> None:
    script(tmp_path / "bin/mvn", f"cp $3 {tmp_path}/asked.xml; echo there > {tmp_path}/d/a-1-linux-x86_64.jar")
    file = MavenFile(coordinate="g:a:1", kind="jar", classifier="linux-x86_64", sha256=None)
    search = f"{tmp_path}/bin:{os.environ['PATH']}"
    assert fetch_maven(file, tmp_path / "d", Toolbox(search=search)).name == "a-1-linux-x86_64.jar"
    dependency = ElementTree.parse(tmp_path / "asked.xml").find(".//dependency")
    assert dependency is not None
    asked = {part.tag: part.text for part in dependency if part.tag != "exclusions"}
    assert asked == {"groupId": "g", "artifactId": "a", "version": "1", "type": "jar", "classifier": "linux-x86_64"}


def test_builds_side_by_side_fetch_a_file_once(tmp_path: Path) -> None:
    script(tmp_path / "bin/mvn", f"echo asked >> {tmp_path}/asked; sleep 0.2; echo there > {tmp_path}/d/a-1.jar")
    file = MavenFile(coordinate="g:a:1", kind="jar", sha256=hashlib.sha256(b"there\n").hexdigest())
    tools = Toolbox(search=f"{tmp_path}/bin:{os.environ['PATH']}")
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: fetch_maven(file, tmp_path / "d", tools), range(4)))
    assert set(paths) == {tmp_path / "d/a-1.jar"}
    assert (tmp_path / "asked").read_text() == "asked\n"


def test_two_libraries_that_bring_unlike_files_of_one_name_clash(tmp_path: Path, given: Path) -> None:
    other = aar(tmp_path / "b.aar", {"classes.jar": jar(), "jni/arm64-v8a/libx.so": b"another"})
    with pytest.raises(BuildError, match=r"clash.*libx\.so.*arm64-v8a"):
        take_apart("both", [given, other], tmp_path / "work")


def test_npm_serves_where_maven_does_not(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "p-1.tgz", "w:gz") as archive:
        info = tarfile.TarInfo("package/third/arm64-v8a/libz.so")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"elf"))
    file = NpmFile(package="p@1", sha256="", members=("third/arm64-v8a/libz.so",))
    assert file.name == "p-1.tgz"
    (found,) = members_of(tmp_path / "p-1.tgz", file)
    assert (found.parent.name, found.read_bytes()) == ("arm64-v8a", b"elf")
