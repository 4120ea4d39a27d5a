"""Real adb servers with virtual phones, and apps to install. A conftest imports what its tests use."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.conftest import MISSING
from tests.vphone.apk import missing_tools
from tests.vphone.apkmaker import ApkMaker, ApkPlan, missing_for_apks
from tests.vphone.apps import Program
from tests.vphone.desktop import class_path, desktop_program, missing_for_desktop
from tests.vphone.jail import namespaces_refused
from tests.vphone.packages import InstallOptions
from tests.vphone.phone import VirtualPhone
from tests.vphone.rootfs import missing
from tests.vphone.server import Adb, AdbServer, adb_binary


@pytest.fixture(scope="session", params=list(Adb))
def adb_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[AdbServer]:
    """A real adb server; a test that uses it runs with each of the two binaries."""
    adb: Adb = request.param
    binary = adb_binary(adb)
    if binary is None:
        pytest.skip(f"{MISSING}the adb of {adb}; install the package adb, or adbutils")
    with AdbServer(tmp_path_factory.mktemp(f"adb-{adb}"), binary) as server:
        yield server


def need_phone() -> None:
    """Skip the test on a machine that cannot run a virtual phone."""
    if lacking := missing():
        pytest.skip(f"{MISSING}{lacking}; apt-get install {lacking}")
    if why := namespaces_refused():
        pytest.skip(f"{MISSING}namespaces: {why}; run the tests as root, or allow user namespaces")


@pytest.fixture
def bare_phone(tmp_path: Path) -> Generator[VirtualPhone]:
    """A phone that is not connected to any adb server."""
    need_phone()
    with VirtualPhone(tmp_path / "phone") as phone:
        yield phone


@pytest.fixture
def phone(adb_server: AdbServer, bare_phone: VirtualPhone) -> Generator[VirtualPhone]:
    """A phone that is plugged in and has allowed this computer."""
    adb_server.connect(bare_phone)
    assert adb_server.wait_state(bare_phone, "device"), adb_server.states()
    yield bare_phone
    bare_phone.faults.hang(False)
    adb_server.adb("disconnect", bare_phone.address)


@pytest.fixture(scope="session")
def apks(tmp_path_factory: pytest.TempPathFactory) -> ApkMaker:
    """Makes small signed APKs; each plan is made once per session."""
    if lacking := f"{missing_for_apks()} {missing_tools()}".strip():
        pytest.skip(f"{MISSING}{lacking}; apt-get install aapt android-framework-res apksigner zipalign")
    return ApkMaker(tmp_path_factory.mktemp("apks"))


@pytest.fixture(scope="session")
def desktop() -> Program:
    """The runner's Java core as an app, built if necessary."""
    if lacking := missing_for_desktop():
        pytest.skip(f"{MISSING}{lacking}; apt-get install openjdk-17-jdk-headless maven")
    return desktop_program(class_path())


@pytest.fixture
def runner_phone(phone: VirtualPhone, apks: ApkMaker, desktop: Program) -> VirtualPhone:
    """A phone with the runner app for ONNX Runtime; launches run on the JVM."""
    phone.apps.program = desktop
    phone.packages.install(apks.make(ApkPlan()), InstallOptions())
    return phone
