"""``phonebench models``, ``formats``, ``devices`` and ``doctor``: what is there, what is missing, and the next step."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.console import make_progress, print_json, print_table
from harness.cli.lent import farm_option
from harness.cli.options import cache_option, json_option
from harness.system.paths import cache_folder

if TYPE_CHECKING:
    from harness.records.device import DeviceInfo


@click.command()
@json_option
def models(as_json: bool) -> None:
    """List the bundled models."""
    import msgspec

    from harness.model.card import ModelOptions
    from harness.model.resolve import bundled_models, resolve
    from harness.wire import shape_text

    cards = [resolve(name, ModelOptions()) for name in bundled_models()]
    if as_json:
        print_json([msgspec.to_builtins(card, enc_hook=str) for card in cards])
        return
    rows = [
        (
            card.name,
            card.task.value,
            ", ".join(f"{t.name} {t.dtype.value} {shape_text(t.shape)}" for t in card.inputs),
            "labelled test data" if card.data and card.data.source else "none included: add --data",
            card.license,
        )
        for card in cards
    ]
    print_table(("model", "task", "inputs", "data", "license"), rows)


@click.command(short_help="Show what can be built and run here.")
@cache_option
@json_option
def formats(cache_dir: Path | None, as_json: bool) -> None:
    """Show what can be built and run on this computer, and the reason for what cannot.

    Tries every exporter and delegate on a tiny network. The first call takes one to three minutes; the result is kept
    until a package changes.
    """
    import msgspec

    from harness.artifacts.cache import Cache
    from harness.artifacts.npu.routes import npu_routes
    from harness.workflows.capability import probe

    table = probe(Cache(cache_folder(cache_dir)), make_progress(), say=lambda text: click.echo(text, err=True))
    routes = npu_routes(os.environ)
    if as_json:
        print_json(msgspec.to_builtins(table) | {"npus": msgspec.to_builtins(routes)})
        return
    rows = [(c.format.value, c.backend or "", c.variant, c.state.value, c.detail) for c in table.variants]
    print_table(("format", "backend", "variant", "build", ""), rows)
    click.echo()
    runs = [(c.format.value, c.delegate.value, c.device, c.state.value, c.detail) for c in table.delegates]
    print_table(("format", "delegate", "device", "run", ""), runs)
    click.echo()
    ways = [(route.format.value, route.maker, route.state.value, route.detail) for route in routes]
    print_table(("format", "neural processor", "ahead of time", ""), ways)


@click.command(short_help="List the connected devices, and what to do about the others.")
@farm_option
@json_option
def devices(farm: str | None, as_json: bool) -> None:
    """List the devices that are connected now, and what to do about those that cannot be used.

    With --farm: list the phones of a farm, and why some of them cannot be borrowed now.
    """
    if farm is not None:
        _list_offered(farm, as_json=as_json)
        return
    import msgspec

    from harness.devices.registry import list_devices
    from harness.records import units

    listings = list_devices()
    infos = [info for listing in listings for info in listing.infos]
    if as_json:
        print_json([msgspec.to_builtins(info) for info in infos])
        return
    # A device that can be unplugged, locked or flat reports its state; a computer is always ready.
    steady = [info for info in infos if "state" not in info.details]
    rows = [(i.key, i.model, i.cpu, str(i.cores), units.size(i.memory_bytes), i.os) for i in steady]
    print_table(("device", "model", "processor", "cores", "memory", "system"), rows)
    phones = [info for info in infos if "state" in info.details]
    if phones:
        click.echo()
        print_table(_PHONE_COLUMNS, [_phone_row(phone) for phone in phones])
    for note in (listing.note for listing in listings if listing.note):
        click.echo(f"\n{note}")


def _list_offered(farm: str, *, as_json: bool) -> None:
    from harness.leases.hold import open_farm

    offered = open_farm(farm).list()
    if as_json:
        import msgspec

        print_json([msgspec.to_builtins(phone) for phone in offered])
        return
    rows = [(f"android:{one.serial}", one.model, one.system, one.taken or "free") for one in offered]
    print_table(("phone", "model", "system", "state"), rows)


_PHONE_COLUMNS = ("phone", "model", "processor", "system", "ABI", "battery", "°C", "state", "to do")


def _phone_row(info: DeviceInfo) -> tuple[str, ...]:
    details = info.details
    percent = details.get("battery_percent", "")
    return (
        info.key,
        info.model,
        info.cpu,
        info.os,
        info.abi,
        f"{percent} %" if percent else "",
        details.get("temperature_c", ""),
        details.get("state", ""),
        details.get("action", ""),
    )


@click.command(short_help="Report what is missing and how to install it.")
@click.option("-d", "--device", metavar="KEY", help="Check this device, such as android, step by step instead.")
@json_option
def doctor(device: str | None, as_json: bool) -> int:
    """Report which optional packages are installed and the one command that installs the rest; or check a device."""
    import msgspec

    from harness.workflows.doctor import examine

    if device is not None:
        return _check_device(device, as_json=as_json)
    examination = examine()
    if as_json:
        print_json(msgspec.to_builtins(examination))
        return 0
    rows = [(p.extra, p.name, p.version or "missing", p.purpose) for p in examination.packages]
    print_table(("extra", "package", "version", "for"), rows)
    click.echo(f"\nPython {examination.python}, {examination.system}, {examination.cores} cores")
    click.echo(examination.advice)
    return 0


def _check_device(key: str, *, as_json: bool) -> int:
    """Show the check of a device; the exit code is 3 when a step failed, as for every device that cannot be used."""
    import msgspec

    from harness.devices.registry import DEVICE_KINDS, kind_of
    from harness.errors import DeviceError, UsageError

    check = kind_of(key).checkup
    if check is None:
        checked = [example for kind in DEVICE_KINDS.values() if kind.checkup for example in kind.examples]
        msg = f"--device is {key!r}, for which doctor has no check; it checks: {', '.join(checked)}"
        raise UsageError(msg)
    checkup = check(key)
    code = 0 if checkup.ok else DeviceError.exit_code
    if as_json:
        print_json({"serial": checkup.serial, "steps": msgspec.to_builtins(checkup.steps), "ok": checkup.ok})
        return code
    print_table(("step", "", "found"), [(s.name, "ok" if s.ok else "failed", s.detail) for s in checkup.steps])
    if checkup.ok:
        click.echo(f"\nEvery step passed. Next: phonebench run digits --device {checkup.key} --format onnx")
    click.echo(f"To report a problem, send the output of: phonebench doctor --device {checkup.key} --json")
    return code
