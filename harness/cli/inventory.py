"""``phonebench models``, ``formats``, ``devices`` and ``doctor``: what there is, what is missing, and the next step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.console import make_progress, print_json, print_table
from harness.cli.options import CACHE_HELP, cache_folder, json_option

if TYPE_CHECKING:
    from harness.records.device import DeviceInfo


@click.command()
@json_option
def models(as_json: bool) -> None:
    """List the bundled models."""
    import msgspec

    from harness.model.card import ModelOptions
    from harness.model.resolve import bundled_models, resolve

    cards = [resolve(name, ModelOptions()) for name in bundled_models()]
    if as_json:
        print_json([msgspec.to_builtins(card, enc_hook=str) for card in cards])
        return
    rows = [
        (
            card.name,
            card.task.value,
            ", ".join(f"{t.name} {t.dtype.value} {'x'.join(map(str, t.shape))}" for t in card.inputs),
            "labelled test data" if card.data and card.data.source else "none of its own: --data",
            card.license,
        )
        for card in cards
    ]
    print_table(("model", "task", "inputs", "data", "license"), rows)


@click.command(short_help="Show what can be built and run here.")
@click.option("--cache-dir", type=click.Path(path_type=Path), envvar="PHONEBENCH_CACHE", help=CACHE_HELP)
@json_option
def formats(cache_dir: Path | None, as_json: bool) -> None:
    """Show what can be built and run here, tried out on a tiny network, with the reason for each hole.

    The first call takes a minute; its answer is kept until a package changes.
    """
    import msgspec

    from harness.artifacts.cache import Cache
    from harness.workflows.capability import probe

    found = probe(Cache(cache_folder(cache_dir)), make_progress())
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    rows = [(c.format.value, c.backend or "", c.variant, c.state.value, c.detail) for c in found.variants]
    print_table(("format", "backend", "variant", "build", ""), rows)
    click.echo()
    runs = [(c.format.value, c.delegate.value, c.device, c.state.value, c.detail) for c in found.delegates]
    print_table(("format", "delegate", "device", "run", ""), runs)


@click.command()
@json_option
def devices(as_json: bool) -> None:
    """List the devices that are there now, and what to do about phones that cannot be used."""
    import msgspec

    from harness.devices.android.listing import phone_infos
    from harness.devices.registry import list_devices
    from harness.errors import PhoneError
    from harness.report import units

    found, trouble = list_devices(), ""
    phones: tuple[DeviceInfo, ...] = ()
    try:
        phones = phone_infos()
    except PhoneError as error:
        trouble = str(error)
    if as_json:
        print_json([msgspec.to_builtins(info) for info in (*found, *phones)])
        return
    rows = [(i.key, i.model, i.os, i.cpu, str(i.cores), units.size(i.memory_bytes)) for i in found]
    print_table(("device", "model", "system", "processor", "cores", "memory"), rows)
    if phones:
        click.echo()
        print_table(_PHONE_COLUMNS, [_phone_row(phone) for phone in phones])
    if not phones:
        click.echo(f"\n{trouble or 'No phone is connected.'}")


_PHONE_COLUMNS = ("phone", "model", "processor", "system", "ABI", "battery", "°C", "state", "to do")


def _phone_row(info: DeviceInfo) -> tuple[str, ...]:
    told = info.details
    percent = told.get("battery_percent", "")
    return (
        info.key,
        info.model,
        info.cpu,
        info.os,
        info.abi,
        f"{percent} %" if percent else "",
        told.get("temperature_c", ""),
        told.get("state", ""),
        told.get("action", ""),
    )


@click.command(short_help="Say what is missing and how to add it.")
@click.option("-d", "--device", metavar="android[:SERIAL]", help="Check a phone, step by step, instead.")
@json_option
def doctor(device: str | None, as_json: bool) -> int:
    """Say what is installed, what is missing, and the one command that adds it; or check a phone."""
    import msgspec

    from harness.workflows.doctor import examine

    if device is not None:
        return _check_phone(device, as_json=as_json)
    found = examine()
    if as_json:
        print_json(msgspec.to_builtins(found))
        return 0
    rows = [(c.extra, c.name, c.version or "missing", c.purpose) for c in found.packages]
    print_table(("extra", "package", "version", "for"), rows)
    click.echo(f"\nPython {found.python}, {found.system}, {found.cores} cores")
    click.echo(found.advice)
    return 0


def _check_phone(key: str, *, as_json: bool) -> int:
    """Show the check of a phone; exit code 3 when a step failed, as for every phone that cannot be used."""
    import msgspec

    from harness.devices.android.checkup import check_phone
    from harness.devices.registry import DeviceKind, parse_device_key
    from harness.errors import DeviceError, UsageError

    if parse_device_key(key).kind is not DeviceKind.ANDROID:
        msg = f"--device is {key!r}: only phones are checked, write android or android:SERIAL"
        raise UsageError(msg)
    found = check_phone(key)
    code = 0 if found.ok else DeviceError.exit_code
    if as_json:
        print_json(msgspec.to_builtins(found) | {"ok": found.ok})
        return code
    print_table(("step", "", "found"), [(s.name, "ok" if s.ok else "failed", s.detail) for s in found.steps])
    name = f"android:{found.serial}" if found.serial else "android"
    if found.ok:
        click.echo(f"\nThe phone works as far as this goes. Next: phonebench run digits --device {name} --format onnx")
    click.echo(f"To report a phone, send what this prints: phonebench doctor --device {name} --json")
    return code
