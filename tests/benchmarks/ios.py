"""What the driver of iPhones costs, against pymobiledevice3 by hand, on virtual iPhones.

``make benchmark ARGS=ios``; needs openssl. The virtual iPhone runs in this process, and everything that is timed in
processes of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from harness.devices.ios.environment import make_environment
from tests.benchmarks.ssh import run, took
from tests.devices.android.jobs import make_work
from tests.viphone.apps import Launch
from tests.viphone.ipamaker import IpaMaker, IpaPlan
from tests.viphone.iphone import VirtualIPhone
from tests.viphone.programs import little_program
from tests.viphone.state import MIB, IPhoneState, own_udid
from tests.viphone.trust import DeviceKey
from tests.viphone.usbmuxd import Usbmuxd

FILE_BYTES = 100 << 20
TIMES = 7
UDID = own_udid(16, "00008030")
BUNDLE = "org.phonebench.runner"

# Both print the seconds that one push takes, the connections being open.
_PUSH_BY_HAND = """
import asyncio, sys, time
from pymobiledevice3.lockdown import create_using_usbmux
from pymobiledevice3.services.house_arrest import HouseArrestService
async def main(udid, bundle, source):
    async with await create_using_usbmux(udid) as lockdown:
        async with await HouseArrestService.create(lockdown, bundle, documents_only=True) as files:
            began = time.perf_counter()
            await files.push(source, "/Documents/by-hand", progress_bar=False)
            print(time.perf_counter() - began)
            await files.rm_single("/Documents/by-hand")
asyncio.run(main(*sys.argv[1:]))
"""
_PUSH = """
import hashlib, sys, time
from pathlib import Path
from harness.devices.ios.phone import open_ios
with open_ios(f"ios:{sys.argv[1]}") as phone:
    source = Path(sys.argv[2])
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    began = time.perf_counter()
    phone.push(source, digest)
    print(time.perf_counter() - began)
    phone._store.remove(digest)
"""
_LAUNCH_BY_HAND = """
import asyncio, contextlib, sys
from pymobiledevice3.lockdown import create_using_usbmux
from pymobiledevice3.remote.userspace_tunnel import UserspaceRsdTunnel
from pymobiledevice3.services.dvt.instruments.dvt_provider import DvtProvider
from pymobiledevice3.services.dvt.instruments.process_control import ProcessControl
from pymobiledevice3.services.house_arrest import HouseArrestService
async def main(udid, bundle, request, inputs):
    async with contextlib.AsyncExitStack() as stack:
        lockdown = await stack.enter_async_context(await create_using_usbmux(udid))
        files = await stack.enter_async_context(await HouseArrestService.create(lockdown, bundle, documents_only=True))
        await files.makedirs("/Documents/phonebench/jobs/hand")
        await files.push(request, "/Documents/phonebench/jobs/hand/request.json")
        services = lockdown
        if int(lockdown.product_version.split(".")[0]) >= 17:
            services = await stack.enter_async_context(UserspaceRsdTunnel(serial=udid))
        provider = await stack.enter_async_context(DvtProvider(services))
        control = await stack.enter_async_context(ProcessControl(provider))
        await control.launch(bundle, arguments=["--job", "hand", "--inputs", inputs])
asyncio.run(main(*sys.argv[1:]))
"""
_DEVICES = "from harness.cli import cli; cli(['devices'])"
_WITHOUT = f"from harness.devices.registry import DEVICE_KINDS; del DEVICE_KINDS['ios']; {_DEVICES}"


def ios(folder: Path) -> None:
    """Print ratios; both sides take turns, so that they see the same machine."""
    python = str(make_environment())
    ipas = folder / "ipas"
    ipas.mkdir()
    ipa = IpaMaker(ipas).make(IpaPlan(devices=(UDID,), digest="benchmark"))
    key = DeviceKey.make(ipas)
    for version in ("16.7", "17.4"):
        state = IPhoneState(ios=version, udid=UDID, product_type="iPhone12,1", capacity_bytes=4096 * MIB)
        with Usbmuxd() as daemon, VirtualIPhone(folder / version, daemon, key, state) as phone:
            os.environ["USBMUXD_SOCKET_ADDRESS"] = daemon.address
            run([sys.executable, "-m", "harness", "runner", "install", "ios", "--ipa", str(ipa)])
            if version == "16.7":
                _push(folder, python)
            _first_sample(folder, python, phone)
    _devices(folder)


def _push(folder: Path, python: str) -> None:
    source = folder / "large"
    source.write_bytes(os.urandom(FILE_BYTES))
    ours, theirs = [], []
    for _ in range(TIMES):
        ours.append(float(said([sys.executable, "-c", _PUSH, UDID, str(source)])))
        theirs.append(float(said([python, "-I", "-c", _PUSH_BY_HAND, UDID, BUNDLE, str(source)])))
    speeds = [b / a for a, b in zip(ours, theirs, strict=True)]
    print(
        f"push of 100 MiB: {median(ours):.2f} s, the library {median(theirs):.2f} s, speed {median(speeds):.2f} of it "
        f"({min(speeds):.2f} to {max(speeds):.2f})"
    )


def _first_sample(folder: Path, python: str, phone: VirtualIPhone) -> None:
    """From the command to the start of the app, on an iPhone that has everything, against the library by hand."""
    started: list[float] = []
    little = little_program()

    def program(launch: Launch) -> list[str]:
        started.append(time.perf_counter())
        return little(launch)

    phone.apps.program = program
    work = make_work(folder)
    model = work.model.rename(folder / "net.onnx")
    command = [sys.executable, "-m", "harness", "run", str(model), "-d", "ios", "--results", str(folder / "r")]
    command += ["--cache-dir", str(folder / "built")]
    run(command)
    request = folder / "request.json"
    request.write_text("{}")
    by_hand = [python, "-I", "-c", _LAUNCH_BY_HAND, UDID, BUNDLE, str(request), "0" * 64]
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(TIMES):
        for times, words in ((ours, command), (theirs, by_hand)):
            started.clear()
            began = time.perf_counter()
            run(words)
            times.append(started[0] - began)
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    print(
        f"to the start of the app, iOS {phone.state.ios}: {median(ours):.2f} s, by hand {median(theirs):.2f} s, "
        f"{median(differences):+.2f} s ({min(differences):+.2f} to {max(differences):+.2f})"
    )


def _devices(folder: Path) -> None:
    """``phonebench devices`` without an iPhone, against a phonebench without the kind."""
    with Usbmuxd() as daemon:
        for name, address in (("no usbmuxd", str(folder / "none")), ("no iPhone", daemon.address)):
            place = {"USBMUXD_SOCKET_ADDRESS": address}
            pairs = [
                took(lambda: run([sys.executable, "-c", _DEVICES], place))  # noqa: B023  called at once
                - took(lambda: run([sys.executable, "-c", _WITHOUT], place))  # noqa: B023  as above
                for _ in range(2 * TIMES)
            ]
            print(
                f"devices, {name}: {1000 * median(pairs):+.0f} ms "
                f"({1000 * min(pairs):+.0f} to {1000 * max(pairs):+.0f})"
            )


def said(command: list[str]) -> str:
    """Return what a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
