"""What tests have pymobiledevice3 do, in its own environment: one request per line of JSON, one answer per line.

``{"do": NAME, "usbmuxd": ADDRESS, ...}`` is answered by ``{"ok": RESULT}``, or by ``{"error": CLASS, "text": TEXT}``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from bpylist2 import archiver
from pymobiledevice3 import usbmux
from pymobiledevice3.dtx.fragment import DTXFragment
from pymobiledevice3.dtx.message import DTXMessage
from pymobiledevice3.lockdown import create_using_usbmux
from pymobiledevice3.remote.userspace_tunnel import UserspaceRsdTunnel
from pymobiledevice3.remote.xpc_message import XpcWrapper, decode_xpc_object
from pymobiledevice3.services.crash_reports import CrashReportsManager
from pymobiledevice3.services.diagnostics import DiagnosticsService
from pymobiledevice3.services.dvt.instruments.device_info import DeviceInfo
from pymobiledevice3.services.dvt.instruments.dvt_provider import DvtProvider
from pymobiledevice3.services.dvt.instruments.process_control import ProcessControl, ProcessControlService
from pymobiledevice3.services.house_arrest import HouseArrestService
from pymobiledevice3.services.installation_proxy import InstallationProxyService
from pymobiledevice3.services.mobile_image_mounter import DeveloperDiskImageMounter, MobileImageMounterService
from pymobiledevice3.services.os_trace import OsTraceService
from pymobiledevice3.services.syslog import SyslogService

BUNDLE = "org.phonebench.runner"


class Endings(ProcessControlService):  # type: ignore[misc]
    """Process control that keeps how processes ended."""

    ended: asyncio.Queue[list[Any]] = asyncio.Queue()

    async def _on_process_terminated(self, pid: int, exit_code: int | None, crashing_signal: int | None) -> None:
        await self.ended.put([pid, exit_code, crashing_signal])


# The library asks this class for the selector, and this one keeps it.
Endings._on_process_terminated.__dict__.update(ProcessControlService._on_process_terminated.__dict__)
ProcessControl._inferred_service_class = Endings


@contextlib.asynccontextmanager
async def lockdown(pair_s: float = 5) -> AsyncIterator[Any]:
    """A paired connection."""
    async with await create_using_usbmux(pair_timeout=pair_s) as client:
        yield client


@contextlib.asynccontextmanager
async def provider(tunnel: bool) -> AsyncIterator[Any]:
    """What Instruments are reached through."""
    if tunnel:
        async with UserspaceRsdTunnel() as rsd, DvtProvider(rsd) as found:
            yield found
    else:
        async with lockdown() as client, DvtProvider(client) as found:
            yield found


async def list_phones() -> Any:
    return [[one.serial, one.connection_type] for one in await usbmux.list_devices()]


async def pair(pair_s: float) -> Any:
    async with lockdown(pair_s) as client:
        return client.paired


async def value(domain: str, key: str) -> Any:
    async with lockdown() as client:
        return await client.get_value(domain or None, key or None)


async def install(file: str) -> Any:
    async with lockdown() as client, InstallationProxyService(client) as proxy:
        await proxy.install_from_local(Path(file), developer=True)
        return sorted(await proxy.get_apps("User"))


async def push(file: str, target: str, documents_only: bool) -> Any:
    """Push a file, and return how many bytes come back and whether they are equal."""
    async with lockdown() as client:
        files = await HouseArrestService.create(client, BUNDLE, documents_only=documents_only)
        try:
            data = Path(file).read_bytes()
            await files.set_file_contents(target, data)
            back = await files.get_file_contents(target)
            return [len(back), back == data]
        finally:
            await files.aclose()


async def battery() -> Any:
    async with lockdown() as client, DiagnosticsService(client) as service:
        return await service.get_battery()


async def images() -> Any:
    """Mount an image; return what was there before and is there afterwards."""
    async with lockdown() as client, MobileImageMounterService(client) as mounter:
        before = [image["DiskImageType"] for image in await mounter.list_images()]
    async with lockdown() as client, DeveloperDiskImageMounter(client) as mounter:
        await mounter.upload_image("Developer", b"image" * 1000, b"signature")
        await mounter.mount_image("Developer", b"signature")
        return [before, [image["DiskImageType"] for image in await mounter.list_images()]]


async def run(tunnel: bool, arguments: list[str], kill: bool) -> Any:
    """Launch the app, and return what it printed and how it ended."""
    async with provider(tunnel) as found, ProcessControl(found) as control, DeviceInfo(found) as info:
        pid = await control.launch(BUNDLE, arguments, environment={"KEY": "value"})
        with contextlib.suppress(Exception):  # It may have ended already.
            await control.service.startObservingPid_(pid)
        runs = await info.is_running_pid(pid)
        if kill:
            await control.kill(pid)
        end = await asyncio.wait_for(Endings.ended.get(), 20)
        printed = []
        with contextlib.suppress(asyncio.TimeoutError):
            while True:
                printed.append((await asyncio.wait_for(control.service.output_events.get(), 0.1))[0])
        return {"runs": runs, "end": end[1:], "same": end[0] == pid, "printed": "".join(printed)}


async def reports() -> Any:
    async with lockdown() as client, CrashReportsManager(client) as manager:
        await manager.flush()
        return sorted(name.lstrip("/") for name in await manager.ls("/"))


async def log_lines(count: int) -> Any:
    """The text of so many records of os_trace, and the first lines of the syslog."""
    async with lockdown() as client:
        lines = [line async for line in _first(SyslogService(client).watch(), count)]
        names = (await OsTraceService(client).get_pid_list())["Payload"]
    return [lines, names]


async def trace(pid: int, tell: str) -> Any:
    """One record of os_trace; ``tell`` is a file that is made once the stream has begun."""
    async with lockdown() as client:
        stream = OsTraceService(client).syslog(pid=pid)
        first = asyncio.create_task(anext(stream))
        await asyncio.sleep(0.3)
        Path(tell).touch()
        entry = await asyncio.wait_for(first, 20)
        return [entry.pid, entry.message, entry.image_name, entry.filename]


async def _first(stream: Any, count: int) -> AsyncIterator[Any]:
    async for one in stream:
        yield one
        count -= 1
        if not count:
            return


async def decode(kind: str, data: str) -> Any:
    """What the library reads in bytes of ours."""
    raw = bytes.fromhex(data)
    if kind == "archive":
        return repr(archiver.unarchive(raw))
    if kind == "xpc":
        wrapper = XpcWrapper.parse(raw)
        return [int(wrapper.flags), wrapper.message_id, repr(decode_xpc_object(wrapper.payload))]
    reader = asyncio.StreamReader()
    reader.feed_data(raw)
    fragment = await DTXFragment.read(reader)
    message = DTXMessage.parse(fragment, fragment.payload)
    return [int(message.type), message.identifier, message.channel_code, message.payload, repr(list(message.aux))]


CALLS = {
    one.__name__: one
    for one in (list_phones, pair, value, install, push, battery, images, run, reports, log_lines, trace, decode)
}


async def main() -> None:
    """Answer requests until standard input ends."""
    out = sys.stdout
    sys.stdout = sys.stderr
    for line in iter(await_line, ""):
        request = json.loads(line)
        os.environ["USBMUXD_SOCKET_ADDRESS"] = request.pop("usbmuxd")
        try:
            answer = {"ok": await asyncio.wait_for(CALLS[request.pop("do")](**request), 60)}
        except Exception as error:
            answer = {"error": type(error).__name__, "text": str(error)}
        out.write(json.dumps(answer, default=str) + "\n")
        out.flush()


def await_line() -> str:
    """The next line of standard input; nothing runs meanwhile."""
    return sys.stdin.readline()


if __name__ == "__main__":
    asyncio.run(main())
