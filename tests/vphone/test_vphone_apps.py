"""The phone installs real APKs by the package manager's rules, starts them, and serves files through their provider."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vphone.apkmaker import ACTIVITY, ApkMaker, ApkPlan
from tests.vphone.ends import wait_for
from tests.vphone.jail import Ended
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import AdbServer

APP = ApkPlan().package
JOBS = f"content://{APP}.jobs"


def install(phone: VirtualPhone, apk: Path) -> Ended:
    """Install as adb does, through a pipe, but without adb."""
    return phone.jail.call(f"cmd package install -r -S {apk.stat().st_size}", stdin=apk.read_bytes())


def test_adb_installs_an_apk_and_starts_it(adb_server: AdbServer, phone: VirtualPhone, apks: ApkMaker) -> None:
    said = adb_server.adb("-s", phone.address, "install", str(apks.make(ApkPlan())))
    assert (said.code, "Success" in said.text) == (0, True)
    said = adb_server.adb("-s", phone.address, "install", str(apks.make(ApkPlan(key="other"))))
    assert (said.code, "INSTALL_FAILED_UPDATE_INCOMPATIBLE" in said.text) == (1, True)
    said = adb_server.adb("-s", phone.address, "shell", f"am start -W -n {APP}/{ACTIVITY}; pidof {APP}")
    assert phone.apps.running(APP)[0].pid == int(said.out.split()[-1])
    assert "Success" in adb_server.adb("-s", phone.address, "uninstall", APP).text
    assert phone.packages.all() == ()


def test_an_apk_is_installed_and_tells_what_it_is(bare_phone: VirtualPhone, apks: ApkMaker) -> None:
    said = install(bare_phone, apks.make(ApkPlan()))
    assert (said.code, "Success" in said.text) == (0, True)
    output = bare_phone.jail.call(f"dumpsys package {APP}").text
    for word in (f"Package [{APP}]", "versionName=0.1.0+0123456789ab", "versionCode=1 ", "primaryCpuAbi=x86_64"):
        assert word in output
    assert bare_phone.jail.call(f"pm path {APP}").out == f"package:/data/app/{APP}-1/base.apk\n".encode()


@pytest.mark.parametrize(
    ("first", "then", "code"),
    [
        (None, ApkPlan(abis=("arm64-v8a",)), "INSTALL_FAILED_NO_MATCHING_ABIS"),
        (None, ApkPlan(min_api=35), "INSTALL_FAILED_OLDER_SDK"),
        (ApkPlan(version_code=2), ApkPlan(), "INSTALL_FAILED_VERSION_DOWNGRADE"),
        (ApkPlan(), ApkPlan(key="other"), "INSTALL_FAILED_UPDATE_INCOMPATIBLE"),
    ],
)
def test_an_install_is_refused_for_what_the_apk_really_is(
    bare_phone: VirtualPhone, apks: ApkMaker, first: ApkPlan | None, then: ApkPlan, code: str
) -> None:
    if first is not None:
        assert install(bare_phone, apks.make(first)).code == 0
    before = bare_phone.packages.all()
    said = install(bare_phone, apks.make(then))
    assert said.code == 1
    assert f"Failure [{code}:" in said.text
    assert bare_phone.packages.all() == before


def test_a_file_that_is_no_apk_is_refused(bare_phone: VirtualPhone, tmp_path: Path) -> None:
    (tmp_path / "no.apk").write_bytes(b"not an apk" * 100)
    assert "INSTALL_PARSE_FAILED_NOT_APK" in install(bare_phone, tmp_path / "no.apk").text


def test_a_full_phone_and_a_restricted_one_refuse(bare_phone: VirtualPhone, apks: ApkMaker) -> None:
    apk = apks.make(ApkPlan(library_bytes=500_000, abis=("x86_64",)))
    bare_phone.state.install_restricted = True
    assert "INSTALL_FAILED_USER_RESTRICTED" in install(bare_phone, apk).text
    bare_phone.state.install_restricted = False
    bare_phone.path("/data/local/tmp/app.apk").write_bytes(apk.read_bytes())
    bare_phone.faults.full(4096)
    said = bare_phone.jail.call("pm install -r /data/local/tmp/app.apk")
    assert "INSTALL_FAILED_INSUFFICIENT_STORAGE" in said.text
    bare_phone.faults.make_room()
    assert bare_phone.jail.call("pm install -r /data/local/tmp/app.apk").out == b"Success\n"


def test_an_app_starts_under_its_name_and_stops(bare_phone: VirtualPhone, apks: ApkMaker) -> None:
    install(bare_phone, apks.make(ApkPlan()))
    said = bare_phone.jail.call(f"am start -S -W -n {APP}/{ACTIVITY} --es job a; pidof {APP}")
    *output, pid = said.out.decode().splitlines()
    assert "Status: ok" in output
    assert bare_phone.apps.running(APP)[0].pid == int(pid)
    assert APP in bare_phone.jail.call("dumpsys window | grep mCurrentFocus").text
    assert bare_phone.jail.call(f"am force-stop {APP}; pidof {APP}").code == 1


@pytest.mark.parametrize(("api", "hangs"), [(28, True), (30, True), (31, False)])
def test_waiting_for_an_activity_that_ends_before_its_first_frame_never_returns_on_older_versions(
    bare_phone: VirtualPhone, apks: ApkMaker, api: int, hangs: bool
) -> None:
    bare_phone.state.api, bare_phone.apps.program = api, lambda _: ["true"]
    install(bare_phone, apks.make(ApkPlan()))
    said = bare_phone.jail.call(f"timeout 1.5 am start -W -n {APP}/{ACTIVITY}")
    assert (said.code, "Complete" in said.text) == ((124, False) if hangs else (0, True))
    assert bare_phone.apps.exits(APP)


@pytest.mark.parametrize(("door", "name"), [(":door", f"{APP}:door"), ("", APP)])
def test_reading_through_a_provider_starts_its_process_which_stays(
    bare_phone: VirtualPhone, apks: ApkMaker, door: str, name: str
) -> None:
    install(bare_phone, apks.make(ApkPlan(door=door)))
    for _ in range(2):
        bare_phone.jail.call(f"content read --uri {JOBS}/j/reply.json")
    assert len(bare_phone.apps.running(name)) == 1
    assert f":{name}/u0a100 for content provider" in bare_phone.jail.call("logcat -d").text
    bare_phone.jail.call(f"am force-stop {APP}")
    assert bare_phone.apps.running(name) == ()


def test_each_user_has_files_of_his_own_and_content_means_the_first(bare_phone: VirtualPhone, apks: ApkMaker) -> None:
    bare_phone.state.user = 10
    install(bare_phone, apks.make(ApkPlan()))
    bare_phone.jail.call(f"content write --user 10 --uri {JOBS}/j/request.json", stdin=b"ten")
    assert bare_phone.jail.call(f"content read --user 10 --uri {JOBS}/j/request.json").out == b"ten"
    assert b"FileNotFound" in bare_phone.jail.call(f"content read --uri {JOBS}/j/request.json").err
    assert bare_phone.jail.call("am get-current-user").out == b"10\n"


@pytest.mark.parametrize(("api", "words"), [(28, "signal (9)"), (29, "signal 9 (Killed)")])
def test_a_kill_is_in_the_log_in_the_words_of_the_version(
    bare_phone: VirtualPhone, apks: ApkMaker, api: int, words: str
) -> None:
    bare_phone.state.api, bare_phone.apps.program = api, lambda _: ["sh", "-c", "kill -9 $$"]
    install(bare_phone, apks.make(ApkPlan()))
    bare_phone.jail.call(f"am start -n {APP}/{ACTIVITY}")
    wait_for(lambda: f"exited due to {words}" in bare_phone.jail.call("logcat -d").text)


def test_starting_what_is_not_there_is_an_error(bare_phone: VirtualPhone) -> None:
    said = bare_phone.jail.call(f"am start -W -n {APP}/{ACTIVITY}")
    assert said.code == 1
    assert f"Activity class {{{APP}/{ACTIVITY}}} does not exist" in said.text


def test_files_pass_through_the_provider(bare_phone: VirtualPhone, apks: ApkMaker) -> None:
    install(bare_phone, apks.make(ApkPlan()))
    request = bytes(range(256)) * 3000
    assert bare_phone.jail.call(f"content write --uri {JOBS}/j-1/request.json", stdin=request).text == ""
    assert bare_phone.jail.call(f"content read --uri {JOBS}/j-1/request.json").out == request
    missing = bare_phone.jail.call(f"content read --uri {JOBS}/j-1/reply.json")
    assert (missing.code, missing.out) == (0, b"")
    assert b"FileNotFoundException" in missing.err
    bare_phone.jail.call(f"content delete --uri {JOBS}/j-1")
    assert not bare_phone.path(f"/data/data/{APP}/files/jobs/j-1").exists()


@pytest.mark.parametrize(
    "uri", [f"{JOBS}/../request.json", f"{JOBS}/j/x.bin", f"{JOBS}/j/reply.json", "content://no/j/x"]
)
def test_the_provider_takes_nothing_else(bare_phone: VirtualPhone, apks: ApkMaker, uri: str) -> None:
    install(bare_phone, apks.make(ApkPlan()))
    assert b"Exception" in bare_phone.jail.call(f"content write --uri {uri}", stdin=b"x").err


def test_an_old_phone_has_no_content_write(bare_phone: VirtualPhone) -> None:
    bare_phone.state.api = 27
    said = bare_phone.jail.call(f"content write --uri {JOBS}/j/request.json", stdin=b"x")
    assert "[ERROR] Unsupported command: write" in said.text


@pytest.mark.parametrize("debuggable", [True, False])
def test_run_as_works_for_a_debuggable_app_alone(bare_phone: VirtualPhone, apks: ApkMaker, debuggable: bool) -> None:
    install(bare_phone, apks.make(ApkPlan(debuggable=debuggable)))
    said = bare_phone.jail.call(f"run-as {APP} sh -c 'pwd; exit 3'")
    assert (said.code, said.out) == ((3, f"/data/data/{APP}\n".encode()) if debuggable else (1, b""))
    assert ("not debuggable" in said.text) is not debuggable


def test_an_app_that_ends_by_itself_is_gone_and_remembered(bare_phone: VirtualPhone, apks: ApkMaker) -> None:
    bare_phone.apps.program = lambda launch: ["sh", "-c", f"cat {launch.files}/../in > {launch.files}/out; echo said"]
    install(bare_phone, apks.make(ApkPlan()))
    bare_phone.path(f"/data/data/{APP}/in").write_text("carried")
    bare_phone.jail.call(f"am start -W -n {APP}/{ACTIVITY}")
    wait_for(lambda: bool(bare_phone.apps.exits(APP)))
    assert bare_phone.path(f"/data/data/{APP}/files/out").read_text() == "carried"
    assert "System.err: said" in bare_phone.jail.call("logcat -d").text
    assert "reason=1 (EXIT SELF)" in bare_phone.jail.call(f"dumpsys activity exit-info {APP}").text
