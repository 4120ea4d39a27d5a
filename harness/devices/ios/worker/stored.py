"""The app's files: the store, where a file is named by its digest, and the folders of the jobs."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from pymobiledevice3.exceptions import AfcException
from pymobiledevice3.services.afc import AfcError, AfcService

from harness.devices.ios.worker.phone import Phone, inside, is_missing

_CHUNK_BYTES = 4 << 20
_PART = ".part"
_READS = 3


class FullError(Exception):
    """The phone has no space left."""


async def put(phone: Phone, *, path: str, sha256: str) -> bool:
    """Store a file of this computer under its digest; return False if one of its size is there already.

    It gets its name when it is complete. The app computes the digest before it loads the file.
    """
    files = await phone.files()
    source, size = Path(path), Path(path).stat().st_size
    if await size_of(phone, "store", sha256) == size:
        return False
    part = inside("store", sha256) + _PART
    try:
        await _upload(files, source, part)
        await files.rename(part, inside("store", sha256))
    except AfcException as error:
        with contextlib.suppress(Exception):
            await files.rm_single(part, force=True)
        if error.status == AfcError.NO_SPACE_LEFT:
            msg = f"NO_SPACE_LEFT while {size} bytes were stored"
            raise FullError(msg) from error
        raise
    return True


async def _upload(files: AfcService, source: Path, target: str) -> None:
    handle = await files.fopen(target, "w")
    try:
        with source.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                await files.fwrite(handle, chunk)
    finally:
        await files.fclose(handle)


async def write(phone: Phone, *, job: str, file: str, text: str) -> None:
    """Write a small file into the folder of a job, which is made."""
    files = await phone.files()
    await files.makedirs(inside("jobs", job))
    part = inside("jobs", job, f"{file}.tmp")
    await files.set_file_contents(part, text.encode())
    await files.rename(part, inside("jobs", job, file))


async def fetch(phone: Phone, *, job: str, file: str, path: str) -> int | None:
    """Copy a file of a job to ``path`` on this computer; return its size in bytes, None if there is none."""
    return await _download(phone, path, "jobs", job, file)


async def pull(phone: Phone, *, sha256: str, path: str) -> int | None:
    """Copy a file of the store to ``path`` on this computer; return its size in bytes, None if there is none."""
    return await _download(phone, path, "store", sha256)


async def _download(phone: Phone, path: str, *parts: str) -> int | None:
    """Copy a file to this computer, again if less arrives than the phone says there is."""
    written: int | None = None
    for _ in range(_READS):
        size = await size_of(phone, *parts)
        if size is None:
            return None
        written = await _read(await phone.files(), inside(*parts), path)
        if written == size:
            break
    return written


async def _read(files: AfcService, source: str, path: str) -> int:
    handle = await files.fopen(source, "r")
    written = 0
    try:
        with Path(path).open("wb") as target:
            while chunk := await files.fread(handle, _CHUNK_BYTES):
                written += target.write(chunk)
    finally:
        await files.fclose(handle)
    return written


async def size_of(phone: Phone, *parts: str) -> int | None:
    """Return the size of a file of the app in bytes, None if there is none."""
    try:
        facts = await (await phone.files()).stat(inside(*parts))
    except AfcException as error:
        if is_missing(error):
            return None
        raise
    return int(facts["st_size"])


async def kept(phone: Phone) -> list[dict[str, Any]]:
    """Return the files in the store: ``name``, ``bytes``, and ``at``, when it was stored, by the phone's clock."""
    files = await phone.files()
    rows = []
    for name in await files.listdir(inside("store")):
        facts = await files.stat(inside("store", name))
        rows.append({"name": name, "bytes": facts["st_size"], "at": facts["st_mtime"].timestamp()})
    return rows


async def remove(phone: Phone, *, names: list[str]) -> None:
    """Remove files of the store; one that is missing is no error."""
    files = await phone.files()
    for name in names:
        await files.rm_single(inside("store", name), force=True)


async def trim(phone: Phone, *, job: str = "") -> None:
    """Remove every job but this one, and files of the store that were not completed."""
    files = await phone.files()
    for other in await files.listdir(inside("jobs")):
        if other != job:
            await files.rm(inside("jobs", other), force=True)
    for name in await files.listdir(inside("store")):
        if name.endswith(_PART):
            await files.rm_single(inside("store", name), force=True)


async def free(phone: Phone) -> int | None:
    """Return the free space in bytes, None if the phone does not say."""
    facts = await (await phone.files()).get_device_info()
    return int(facts["FSFreeBytes"]) if "FSFreeBytes" in facts else None
