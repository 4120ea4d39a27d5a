"""Starts and ends processes through the phone's instruments server, and notes how they ended."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

from pymobiledevice3.dtx import dtx_on_invoke
from pymobiledevice3.dtx.exceptions import DTXNsError
from pymobiledevice3.services.dvt.instruments.device_info import DeviceInfo
from pymobiledevice3.services.dvt.instruments.dvt_provider import DvtProvider
from pymobiledevice3.services.dvt.instruments.process_control import ProcessControl, ProcessControlService


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a process ended: its exit code, or the signal that killed it. Both are None if the phone said neither."""

    code: int | None = None
    signal: int | None = None


class _Observer(ProcessControlService):  # type: ignore[misc]  # mypy does not see the library
    """The service as the library has it, except that the end of a process is kept instead of logged."""

    @dtx_on_invoke("processWithPID:terminatedWithExitCode:orCrashingSignal:")  # type: ignore[untyped-decorator]  # as above
    async def _on_process_terminated(self, pid: Any, exit_code: Any, crashing_signal: Any) -> None:
        endings = self._ctx.get("endings")
        if endings is not None:
            # A code beside a signal is no exit code of the program's.
            signal = _number(crashing_signal)
            ending = Ending(code=None if signal else _number(exit_code), signal=signal or None)
            endings[_number(pid)] = ending
            self._ctx["ended"].set()


class _ObservedControl(ProcessControl):  # type: ignore[misc]  # as above
    pass


# The library finds the service by the type parameter of the class, which this takes the place of.
_ObservedControl._inferred_service_class = _Observer


class Control:
    """Process control over one connection to the instruments server."""

    def __init__(self, provider: Any, processes: Any, info: Any, endings: dict[int, Ending]) -> None:
        self._provider, self._processes, self._info, self._endings = provider, processes, info, endings
        self.ended = asyncio.Event()
        self._closed = False

    @classmethod
    async def open(cls, services: Any, endings: dict[int, Ending]) -> Control:
        """Connect to the instruments server of ``services``; how processes end is put into ``endings``."""
        provider = DvtProvider(services)
        await provider.connect()
        try:
            processes, info = _ObservedControl(provider), DeviceInfo(provider)
            await processes.connect()
            await info.connect()
        except BaseException:
            await provider.close()
            raise
        control = cls(provider, processes, info, endings)
        provider.dtx.ctx["endings"], provider.dtx.ctx["ended"] = endings, control.ended
        return control

    @property
    def alive(self) -> bool:
        """Whether the connection has not been closed."""
        return not self._closed

    async def launch(self, bundle_id: str, arguments: list[str]) -> int:
        """Start the app, ending one that runs already, and return its process id."""
        # Before the launch: an app that ends at once may have its end reported before its start.
        self._endings.clear()
        pid = int(await self._asked(self._processes.launch(bundle_id, arguments=arguments, kill_existing=True)))
        # Some versions observe what they launched without being asked.
        with contextlib.suppress(Exception):
            await self._processes.service.startObservingPid_(pid)
        return pid

    async def runs(self, pid: int) -> bool:
        """Return whether a process is running."""
        return bool(await self._asked(self._info.is_running_pid(pid)))

    async def pid_of(self, bundle_id: str) -> int:
        """Return the process id of an app that runs, 0 if it does not."""
        return int(await self._asked(self._processes.process_identifier_for_bundle_identifier(bundle_id)) or 0)

    async def kill(self, pid: int) -> None:
        """End a process."""
        await self._asked(self._processes.kill(pid))

    async def close(self) -> None:
        """Close the connection."""
        self._closed = True
        await self._provider.close()

    async def _asked(self, question: Any) -> Any:
        try:
            return await question
        except DTXNsError:
            # The phone answered, with a refusal.
            raise
        except BaseException:
            self._closed = True
            raise


def _number(value: Any) -> int | None:
    plain = getattr(value, "value", value)
    return plain if isinstance(plain, int) else None
