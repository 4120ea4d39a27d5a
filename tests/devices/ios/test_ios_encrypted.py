"""Artifacts that lie on the iPhone only encrypted, with the Swift runner as the app."""

from __future__ import annotations

import hashlib
import json
import logging
import shlex
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from harness.devices.ios.hold import IosOptions
from harness.devices.ios.ipa import read_ipa
from harness.devices.ios.phone import Iphone, open_iphone
from harness.errors import IosError, IosTrouble
from harness.runners.ios.build import KEY_NAME, IosBuild
from harness.signing.keys import create_key
from harness.wire import FailureKind, ReplyStatus
from tests.conftest import MISSING
from tests.devices.android.jobs import INPUTS, OPERAND
from tests.devices.secret import MIB, Secret, make_secret
from tests.ios_runner.swift import desktop_command, missing_for_swift
from tests.viphone.apps import Launch, Program
from tests.viphone.fixtures import MakePhone
from tests.viphone.ipamaker import IpaMaker, IpaPlan
from tests.viphone.iphone import VirtualIPhone
from tests.viphone.programs import keystore_of, swift_program
from tests.viphone.state import IPhoneState, own_udid
from tests.viphone.usbmuxd import Usbmuxd

BUNDLE = "org.phonebench.runner"
OpenPhone = Callable[..., AbstractContextManager[Iphone]]


@pytest.fixture(params=["16.7", "17.4"])
def phone(
    request: pytest.FixtureRequest, make_iphone: MakePhone, usbmuxd: Usbmuxd, monkeypatch: pytest.MonkeyPatch
) -> VirtualIPhone:
    """An iPhone, over lockdownd and through the tunnel."""
    if lacking := missing_for_swift():
        pytest.skip(f"{MISSING}{lacking}")
    monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", usbmuxd.address)
    made = make_iphone(IPhoneState(ios=request.param, udid=own_udid(0xEC), capacity_bytes=1 << 30))
    made.apps.program = swift_program(desktop_command())
    return made


@pytest.fixture
def open_phone(phone: VirtualIPhone, python: Path, ipas: IpaMaker) -> OpenPhone:
    """Opens the iPhone for a session with encryption, or without."""

    def open_(*, encrypt: bool = True, key: str = "") -> AbstractContextManager[Iphone]:
        ipa = ipas.make(IpaPlan(devices=None, info={KEY_NAME: key} if key else {}))
        options = IosOptions(ipa=read_ipa(ipa), back_s=10.0, trust_s=0.0, encrypt=encrypt)
        return open_iphone(phone.state.udid, python, key="ios", options=options)

    return open_


def container(phone: VirtualIPhone) -> Path:
    return phone.storage.data / BUNDLE


def in_the_clear(phone: VirtualIPhone, model: Secret) -> list[Path]:
    """The files of the iPhone that hold a part of the model."""
    return model.in_the_clear(phone.storage.data)


def private(phone: VirtualIPhone) -> Path:
    return container(phone) / "Library/Caches/phonebench"


def store(phone: VirtualIPhone) -> Path:
    return container(phone) / "Documents/phonebench/store"


def stored(phone: VirtualIPhone) -> set[str]:
    return {path.name for path in store(phone).iterdir()}


def inputs_of(model: Secret) -> str:
    return hashlib.sha256(model.work.inputs.read_bytes()).hexdigest()


def interrupted(phone: VirtualIPhone, model: Secret, then: str) -> Program:
    """An app that leaves the model in the clear and then does that. Started without a request, it is the real one."""
    real = phone.apps.program

    def program(launch: Launch) -> list[str]:
        job = launch.arguments[launch.arguments.index("--job") + 1]
        request = launch.documents / "phonebench/jobs" / job / "request.json"
        # The key is asked for in a request without files.
        if not request.is_file() or not json.loads(request.read_bytes())["artifact"]["encryption"]["files"]:
            return real(launch)
        plain = shlex.quote(str(private(phone)))
        return ["sh", "-c", f"mkdir -p {plain}; cp {shlex.quote(str(model.work.model))} {plain}/model.onnx; {then}"]

    return program


def test_the_iphone_decrypts_what_its_key_and_the_owners_are_for_and_keeps_nothing(
    phone: VirtualIPhone, open_phone: OpenPhone, tmp_path: Path
) -> None:
    owner = create_key(tmp_path / "owner", days=30)
    key = IosBuild(trusted_key=owner.public.read_bytes()).key_text
    model = make_secret(tmp_path, 1000).signed(tmp_path / "signed", owner.private)
    with open_phone(encrypt=False, key=key) as iphone:
        model.push(iphone)
    assert in_the_clear(phone, model)

    with open_phone(key=key) as iphone:
        model.push(iphone)
        assert not in_the_clear(phone, model)
        # As launches would that crashed while the cable was out, the second of them in Core ML's compiler.
        for left in (private(phone), container(phone) / "tmp"):
            left.mkdir(exist_ok=True)
            (left / "model.onnx").write_bytes(model.work.model.read_bytes())
        execution = iphone.execute(model.work.request, model.work.inputs, 120)
        assert execution.reply.failure is None
        assert execution.outputs is not None
        outputs = np.frombuffer(execution.outputs.read_bytes(), dtype=np.float32).reshape(INPUTS.shape)
        assert np.array_equal(outputs, INPUTS * OPERAND)
        assert not in_the_clear(phone, model)

        # The key of the app is lost, as when it is installed again.
        keystore_of(phone.apps.installed[BUNDLE]).unlink()
        launches = len(phone.apps.ended)
        assert model.run(iphone).failure is None
        assert len(phone.apps.ended) == launches + 2

        refused = model.unsigned().run(iphone).failure
        assert refused is not None
        assert "has no signature" in refused.message
    assert not in_the_clear(phone, model)
    # The encrypted files went with the session, and only the inputs stay.
    assert stored(phone) == {inputs_of(model)}
    assert phone.apps.unclosed_launches == 0


def test_a_kill_in_the_middle_of_a_load_or_a_full_iphone_leaves_nothing_in_the_clear(
    phone: VirtualIPhone, open_phone: OpenPhone, tmp_path: Path
) -> None:
    model, real = make_secret(tmp_path, 24 * MIB), phone.apps.program
    killed = threading.Event()

    def kill_once_decrypted() -> None:
        while not (private(phone) / "model.onnx.data").exists() and not killed.wait(0.005):
            pass
        phone.faults.kill_app_for_memory()

    with open_phone() as iphone:
        model.push(iphone)
        watcher = threading.Thread(target=kill_once_decrypted)
        watcher.start()
        failure = model.run(iphone).failure
        killed.set()
        watcher.join()
        assert failure is not None
        assert failure.kind is FailureKind.OOM
        assert not in_the_clear(phone, model)

        # A program that may write no file of more than 12 MiB has an error where a full disk has one.
        phone.apps.program = lambda launch: [
            *("bash", "-c", 'trap "" XFSZ; ulimit -f 12288; exec "$@"', "limited"),
            *real(launch),
        ]
        failure = model.run(iphone).failure
        assert failure is not None
        assert failure.kind is FailureKind.STORAGE
        assert "model.onnx.data" in failure.message
        assert not in_the_clear(phone, model)
        phone.apps.program = real

        # The app finds out, and the file is encrypted and sent again.
        sent = max(store(phone).iterdir(), key=lambda path: path.stat().st_size)
        with sent.open("r+b") as file:
            file.seek(20 * MIB)
            file.write(b"tampered")
        assert model.run(iphone).status is ReplyStatus.OK
        assert not sent.exists()
        assert not in_the_clear(phone, model)
    assert stored(phone) == {inputs_of(model)}


def test_an_app_that_ends_or_hangs_after_a_load_is_started_again_to_remove_the_files(
    phone: VirtualIPhone, open_phone: OpenPhone, tmp_path: Path
) -> None:
    model = make_secret(tmp_path, 1000)
    with open_phone() as iphone:
        model.push(iphone)
        real = phone.apps.program
        phone.apps.program = interrupted(phone, model, "kill -SEGV $$")
        failure = model.run(iphone).failure
        assert failure is not None
        assert failure.kind is FailureKind.CRASH
        assert not in_the_clear(phone, model)

        phone.apps.program = real
        phone.apps.program = interrupted(phone, model, "sleep 600")
        failure = iphone.execute(model.work.request, model.work.inputs, 2).reply.failure
        assert failure is not None
        assert failure.kind is FailureKind.TIMEOUT
        assert not in_the_clear(phone, model)


def test_a_session_that_is_closed_during_a_load_leaves_nothing_either(
    phone: VirtualIPhone, open_phone: OpenPhone, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = make_secret(tmp_path, 1000)
    phone.apps.program = interrupted(phone, model, "sleep 600")

    def begin(iphone: Iphone) -> threading.Thread:
        """Launch in a thread of its own, as a command does; return once the model is in the clear."""

        def launch() -> None:
            with pytest.raises(IosError):
                model.run(iphone)

        thread = threading.Thread(target=launch)
        thread.start()
        ends_at = time.monotonic() + 60
        while not in_the_clear(phone, model):
            assert time.monotonic() < ends_at
            time.sleep(0.05)
        return thread

    with open_phone() as iphone:
        model.push(iphone)
        thread = begin(iphone)
    thread.join()
    assert not in_the_clear(phone, model)
    assert stored(phone) == {inputs_of(model)}

    with caplog.at_level(logging.WARNING):
        with open_phone() as iphone:
            model.push(iphone)
            thread = begin(iphone)
            phone.unplug()
        thread.join()
    assert "the model may lie in the clear in the private folder of the runner app" in caplog.text
    phone.plug()
    (tmp_path / "other").mkdir()
    other = make_secret(tmp_path / "other", 10)
    with open_phone(encrypt=False) as iphone:
        phone.apps.program = swift_program(desktop_command())
        other.push(iphone)
        other.run(iphone)
    assert not list(private(phone).glob("*"))


def test_an_iphone_without_a_keystore_is_refused_with_what_to_do(
    phone: VirtualIPhone, open_phone: OpenPhone, tmp_path: Path
) -> None:
    model = make_secret(tmp_path, 1000)
    with open_phone() as iphone:
        model.push(iphone)
        assert model.run(iphone).failure is None
        keystore = keystore_of(phone.apps.installed[BUNDLE])
        keystore.unlink()
        keystore.mkdir()
        assert model.run(iphone).status is ReplyStatus.UNSUPPORTED
    with open_phone() as iphone:
        model.push(iphone)
        with pytest.raises(IosError, match="cannot decrypt models: this phone's keystore cannot") as raised:
            model.run(iphone)
        assert raised.value.trouble is IosTrouble.KEYSTORE
        assert "without --encrypt" in str(raised.value)
