"""Artifacts that lie on the phone only encrypted, with the runner's Java core behind ``am start``."""

from __future__ import annotations

import hashlib
import shlex
import threading
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from harness.devices.android.adb.cable import SHELL_S, Cable, ShellResult
from harness.devices.android.advice import phone_error
from harness.devices.android.hold.tether import PhoneOptions
from harness.devices.android.phone import open_phone
from harness.devices.android.phone_store import FOLDER
from harness.errors import PhoneError, PhoneTrouble
from harness.signing.keys import create_key
from harness.spec.phone_settings import PhoneSettings
from harness.wire import FailureKind, ReplyStatus
from tests.devices.android.jobs import INPUTS, OPERAND
from tests.devices.secret import MIB, Secret, make_secret
from tests.vphone.apkmaker import ApkMaker, ApkPlan
from tests.vphone.apps import Launch, Program
from tests.vphone.packages import InstallOptions
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import Adb

# How the driver talks to adb is tested elsewhere with both.
pytestmark = pytest.mark.parametrize("adb_server", [Adb.WHEEL], indirect=True)

APP = "org.phonebench.runner.onnxruntime"
OPTIONS = PhoneOptions(settings=PhoneSettings(encrypt=True))


def in_the_clear(phone: VirtualPhone, model: Secret) -> list[Path]:
    """The files of the phone that hold a part of the model."""
    return model.in_the_clear(phone.path("/data"))


def files_of_app(phone: VirtualPhone) -> Path:
    return phone.path(f"/data/data/{APP}/files")


class LooseCable(Cable):
    """A cable that comes loose for one command, the one that stops apps, once ``loose`` is set."""

    loose = False

    def run(self, command: str, *, stdin: bytes = b"", seconds: float = SHELL_S) -> ShellResult:
        if self.loose and "force-stop" in command:
            self.loose = False
            raise phone_error(PhoneTrouble.GONE, "the phone went away", serial=self.serial)
        return super().run(command, stdin=stdin, seconds=seconds)


def delivering(desktop: Program) -> Program:
    """The Java core, which then leaves its reply on shared storage as the app does."""

    def program(launch: Launch) -> list[str]:
        job = f"jobs/{launch.extras['job']}"
        shared = shlex.quote(f"{launch.shared}/{job}")
        copy = f"mkdir -p {shared}; cp {shlex.quote(f'{launch.files}/{job}')}/{{reply.json,outputs.bin}} {shared}"
        return ["bash", "-c", f"{shlex.join(desktop(launch))}; {copy}"]

    return program


def dying(model: Path) -> Program:
    """An app that ends once it has decrypted the model."""

    def program(launch: Launch) -> list[str]:
        plain = shlex.quote(f"{launch.files}/jobs/{launch.extras['job']}/plain")
        return ["sh", "-c", f"mkdir -p {plain}; cp {shlex.quote(str(model))} {plain}; kill -9 $$"]

    return program


def give_key(phone: VirtualPhone) -> None:
    """Put a new key pair into the keystore of the app, which takes the JVM much longer."""
    pair = generate_private_key(public_exponent=65537, key_size=3072)
    encoded = pair.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    files_of_app(phone).mkdir(parents=True, exist_ok=True)
    (files_of_app(phone) / "keystore.p8").write_bytes(encoded)


def test_the_phone_decrypts_what_its_key_and_the_owners_are_for_and_keeps_nothing(
    cable: Cable, phone: VirtualPhone, apks: ApkMaker, desktop: Program, tmp_path: Path
) -> None:
    owner = create_key(tmp_path / "owner", days=30)
    phone.apps.program = desktop
    phone.packages.install(apks.make(ApkPlan(trusted_key=owner.public.read_text())), InstallOptions())
    model = make_secret(tmp_path, 1000)
    model = model.signed(tmp_path / "signed", owner.private)
    with open_phone(cable, key="android") as android:
        android.push(model.work.model, model.work.sha256)
    assert in_the_clear(phone, model)

    give_key(phone)
    with open_phone(cable, key="android", options=OPTIONS) as android:
        model.push(android)
        assert not in_the_clear(phone, model)
        # As a launch would that crashed while the cable was out.
        left = files_of_app(phone) / "jobs" / "crashed" / "plain" / "model.onnx"
        left.parent.mkdir(parents=True)
        left.write_bytes(model.work.model.read_bytes())
        execution = android.execute(model.work.request, model.work.inputs, 120)
        assert execution.reply.failure is None
        assert execution.outputs is not None
        outputs = np.frombuffer(execution.outputs.read_bytes(), dtype=np.float32).reshape(INPUTS.shape)
        assert np.array_equal(outputs, INPUTS * OPERAND)
        assert not in_the_clear(phone, model)

        # The key of the app is lost, as when it is installed again.
        give_key(phone)
        assert model.run(android).failure is None

        refused = model.unsigned().run(android).failure
        assert refused is not None
        assert "has no signature" in refused.message
    assert not in_the_clear(phone, model)
    # The encrypted files went with the session, and only the inputs stay.
    stored = {path.name for path in phone.path(FOLDER).iterdir()}
    assert stored == {hashlib.sha256(model.work.inputs.read_bytes()).hexdigest()}


def test_a_kill_in_the_middle_of_a_load_or_a_full_phone_leaves_nothing_in_the_clear(
    cable: Cable, runner_phone: VirtualPhone, tmp_path: Path
) -> None:
    model = make_secret(tmp_path, 24 * MIB)
    give_key(runner_phone)
    jobs = files_of_app(runner_phone) / "jobs"
    killed = threading.Event()

    def kill_once_decrypted() -> None:
        while not any(jobs.glob("*/plain/model.onnx.data")) and not killed.wait(0.01):
            pass
        runner_phone.faults.kill_app_for_memory()

    with open_phone(cable, key="android", options=OPTIONS) as android:
        model.push(android)
        watcher = threading.Thread(target=kill_once_decrypted)
        watcher.start()
        failure = model.run(android).failure
        killed.set()
        watcher.join()
        assert failure is not None
        assert failure.kind is FailureKind.OOM
        assert not in_the_clear(runner_phone, model)

        runner_phone.faults.full(12 * MIB)
        failure = model.run(android).failure
        assert failure is not None
        assert failure.kind is FailureKind.STORAGE
        assert failure.message == (
            "cannot decrypt the artifact 'model.onnx.data': No space left on device; free some space on the phone"
        )
        assert not in_the_clear(runner_phone, model)
        runner_phone.faults.make_room()

        sent = max(runner_phone.path(FOLDER).iterdir(), key=lambda path: path.stat().st_size)
        with sent.open("r+b") as file:
            file.seek(20 * MIB)
            file.write(b"tampered")
        failure = model.run(android).failure
        assert failure is not None
        assert failure.kind is FailureKind.DIGEST
        assert failure.message.startswith("the encrypted artifact 'model.onnx.data' is damaged")
        assert not in_the_clear(runner_phone, model)
        # Found at the latest in the next session, and here because the phone was away.
        (files_of_app(runner_phone) / "keystore.p8").unlink()
        (files_of_app(runner_phone) / "keystore.p8").mkdir()
        reply = model.run(android)
        assert reply.status is ReplyStatus.UNSUPPORTED

    with open_phone(cable, key="android", options=OPTIONS) as android:
        model.push(android)
        with pytest.raises(PhoneError, match="cannot decrypt models: this phone's keystore cannot") as raised:
            model.run(android)
        assert raised.value.trouble is PhoneTrouble.KEYSTORE


def test_where_no_app_starts_in_the_background_the_key_outlasts_its_launches_and_goes_with_the_session(
    cable: Cable, runner_phone: VirtualPhone, desktop: Program, tmp_path: Path
) -> None:
    model = make_secret(tmp_path, 1000)
    give_key(runner_phone)
    keystore = files_of_app(runner_phone) / "keystore.p8"
    key = keystore.read_bytes()
    runner_phone.apps.program = delivering(desktop)
    runner_phone.faults.block_background()
    loose = LooseCable(cable.server, cable.serial)
    with open_phone(loose, key="android", options=OPTIONS) as android:
        model.push(android)
        assert model.run(android).failure is None
        assert keystore.read_bytes() == key
        assert not in_the_clear(runner_phone, model)

        runner_phone.apps.program = dying(model.work.model)
        assert model.run(android).failure is not None
        # Without a reply nobody knows what the launch left, so all that the app stores goes.
        assert not in_the_clear(runner_phone, model)
        assert not keystore.exists()

        runner_phone.apps.program = delivering(desktop)
        give_key(runner_phone)
        assert model.run(android).failure is None
        loose.loose = True
    assert not loose.loose
    assert not list(files_of_app(runner_phone).iterdir())
    stored = {path.name for path in runner_phone.path(FOLDER).iterdir()}
    assert stored == {hashlib.sha256(model.work.inputs.read_bytes()).hexdigest()}
