"""The services of Instruments on the developer image: process control and device info."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tests.viphone.apps import LaunchError, Running, process_rows
from tests.viphone.archive import NSDate, NSError
from tests.viphone.dtx import Channel, DispatchError, Opener, Session
from tests.viphone.link import Link

if TYPE_CHECKING:
    from tests.viphone.iphone import VirtualIPhone

PROCESS_CONTROL = "com.apple.instruments.server.services.processcontrol"
DEVICE_INFO = "com.apple.instruments.server.services.deviceinfo"
LAUNCH = "launchSuspendedProcessWithDevicePath:bundleIdentifier:environment:arguments:options:"
OUTPUT = "outputReceived:fromProcess:atTime:"
ENDED = "processWithPID:terminatedWithExitCode:orCrashingSignal:"
FRONT_BOARD = "FBSOpenApplicationErrorDomain"
PROCESS_DOMAIN = "com.apple.dt.deviceprocesscontrolservice"


def serve(phone: VirtualIPhone, link: Link) -> None:
    """Answer until the connection ends."""
    services: dict[str, Opener] = {
        PROCESS_CONTROL: lambda send: ProcessControl(phone, send).channel(),
        DEVICE_INFO: lambda _: Channel(methods=_device_info(phone)),
    }
    capabilities = {"com.apple.instruments.server.services.processcontrol.capability.terminationCallback": 1}
    Session(link=link, services=services, capabilities=capabilities).serve()


class ProcessControl:
    """Process control on one channel: what it launched or observes is reported there."""

    def __init__(self, phone: VirtualIPhone, send: Callable[..., None]) -> None:
        self._phone, self._send = phone, send
        self._launched: set[int] = set()
        self._observed: set[int] = set()

    def channel(self) -> Channel:
        """Open the channel."""
        self._phone.apps.watch(self._report)
        methods: dict[str, Callable[..., Any]] = {
            LAUNCH: self._launch,
            "killPid:": self._kill,
            "sendSignal:toPid:": self._signal,
            "startObservingPid:": self._observe,
            "stopObservingPid:": self._observed.discard,
            "suspendPid:": lambda pid: self._signal(signal.SIGSTOP, pid),
            "resumePid:": lambda pid: self._signal(signal.SIGCONT, pid),
            "requestDisableMemoryLimitsForPid:": lambda pid: self._phone.apps.by_pid(pid) is not None,
            "isPidDebuggable:": self._is_debuggable,
            "processIdentifierForBundleIdentifier:": self._pid_of,
        }
        return Channel(methods=methods, close=lambda: self._phone.apps.unwatch(self._report))

    def _launch(
        self, _: str, bundle: str, environment: dict[str, str], arguments: list[str], options: dict[str, Any]
    ) -> int:
        apps = self._phone.apps
        if options.get("KillExisting"):
            for one in apps.running(bundle):
                apps.stop(one.pid)
        try:
            running = apps.start(bundle, arguments or [], environment or {}, began=self._began)
        except LaunchError as error:
            raise DispatchError(_refused(error)) from error
        if options.get("StartSuspendedKey"):
            self._signal(signal.SIGSTOP, running.pid)
        return running.pid

    def _began(self, pid: int) -> None:
        self._launched.add(pid)

    def _kill(self, pid: int) -> None:
        self._phone.apps.stop(pid)

    def _signal(self, number: int, pid: int) -> int:
        if number == signal.SIGKILL:
            self._phone.apps.stop(pid)
        elif not self._phone.apps.send_signal(pid, number):
            raise DispatchError(_no_process(pid))
        return 0

    def _observe(self, pid: int) -> None:
        if self._phone.apps.by_pid(pid) is None:
            raise DispatchError(_no_process(pid))
        self._observed.add(pid)

    def _is_debuggable(self, pid: int) -> bool:
        running = self._phone.apps.by_pid(pid)
        return running is not None and running.app.ipa.debuggable

    def _pid_of(self, bundle: str) -> int:
        return next((one.pid for one in self._phone.apps.running(bundle)), 0)

    def _report(self, running: Running, line: str | None) -> None:
        with suppress(OSError):
            if line is not None and running.pid in self._launched:
                self._send(OUTPUT, line, running.pid, NSDate(at_s=self._phone.now_s()))
            if line is None and running.pid in self._observed:
                self._send(ENDED, running.pid, running.code, running.signal_number)


def _device_info(phone: VirtualIPhone) -> dict[str, Callable[..., Any]]:
    return {
        "runningProcesses": lambda: process_rows(phone),
        "isRunningPid:": lambda pid: phone.apps.by_pid(pid) is not None,
        "execnameForPid:": lambda pid: next(
            (row["realAppName"] for row in process_rows(phone) if row["pid"] == pid), ""
        ),
        "hardwareInformation": lambda: {"numberOfCpus": 6, "numberOfPhysicalCpus": 6, "hwCPUtype": 0x0100000C},
        "systemInformation": lambda: {
            "_deviceDisplayName": phone.state.name,
            "_productVersion": phone.state.ios,
            "_hardwareModel": phone.state.product_type,
        },
        "machKernelName": lambda: "Darwin Kernel Version 23.4.0",
    }


def _refused(error: LaunchError) -> NSError:
    info = {"NSLocalizedDescription": str(error), "NSLocalizedFailureReason": error.reason}
    below = NSError(domain=FRONT_BOARD, code=error.code, info=dict(info))
    return NSError(domain=PROCESS_DOMAIN, code=2, info=info | {"NSUnderlyingError": below})


def _no_process(pid: int) -> NSError:
    text = f"No such process: {pid}"
    return NSError(domain="NSPOSIXErrorDomain", code=3, info={"NSLocalizedDescription": text})
