"""Keeps the cache encrypted on disk, in the age format (https://age-encryption.org/v1), if a key is set.

Entries are made and read as plain files in a private folder in memory, and lie on the disk encrypted. A process removes
its plain files when it ends; those of a process that was killed are removed by the next one.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import MissingPackageError, SignatureError
from harness.system.files import storage_errors
from harness.system.scratch import use_root
from harness.system.small_files import read_small

if TYPE_CHECKING:
    from pyrage.x25519 import Identity

KEY_VARIABLE = "PHONEBENCH_CACHE_KEY"
SUFFIX = ".age"
# Says which model and recipe an entry is of, and holds digests but no weights. Listing a cache needs it.
IN_THE_CLEAR = ("manifest.json",)
_MARK = b"AGE-SECRET-KEY-1"
_MEMORY = Path("/dev/shm")
_MOST_KEY_BYTES = 1 << 20


class Seal:
    """Encrypts and decrypts the entries of one cache. Raises `SignatureError` for a key that cannot be used."""

    def __init__(self, key_file: Path, root: Path) -> None:
        self._key_file, self._identity = key_file, read_identity(key_file)
        self._opened: dict[Path, Path] = {}
        name = hashlib.sha256(str(root.absolute()).encode()).hexdigest()[:12]
        parent = _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
        self._plain = parent / f"phonebench-plain-{os.getuid()}-{name}"
        self._own = self._plain / str(os.getpid())
        with storage_errors(self._plain):
            self._prepare()
        # Models pass through temporary files on their way to a device.
        use_root(self._own)
        atexit.register(self._end)

    def _prepare(self) -> None:
        for _ in range(5):
            # The last other process of this cache may remove the folder at this very moment.
            with contextlib.suppress(FileNotFoundError):
                _private(self._plain)
                _private(self._own)
                self._sweep()
                return
        _private(self._plain)
        _private(self._own)

    @property
    def environment(self) -> dict[str, str]:
        """What makes a child process keep its temporary files where they end with this process."""
        return {"TMPDIR": str(self._own)}

    @property
    def staging(self) -> Path:
        """The folder in which entries are made before they are encrypted; processes of one cache share it."""
        folder = self._plain / "staging"
        _private(folder)
        return folder

    def close(self, folder: Path, target: Path) -> None:
        """Write the files of ``folder`` encrypted into the new folder ``target``. Raises `OSError`."""
        import pyrage

        for file in _files(folder):
            name = file.relative_to(folder)
            written = target / name if name.name in IN_THE_CLEAR else target / f"{name}{SUFFIX}"
            written.parent.mkdir(parents=True, exist_ok=True)
            if name.name in IN_THE_CLEAR:
                shutil.copyfile(file, written)
            else:
                pyrage.encrypt_file(str(file), str(written), [self._identity.to_public()])

    def open(self, entry: Path) -> Path:
        """Return a folder with the plain files of the encrypted ``entry``, made once per process.

        Raises `SignatureError` if it was encrypted for another key, `ValueError` if it is damaged, and `StoreError` if
        there is no space for it, with nothing left behind.
        """
        if entry in self._opened and self._opened[entry].is_dir():
            return self._opened[entry]
        folder = Path(tempfile.mkdtemp(prefix=f"{entry.name[:12]}-", dir=self._own))
        try:
            with storage_errors(folder):
                self._decrypt(entry, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._opened[entry] = folder
        return folder

    def forget(self, entry: Path) -> None:
        """Remove the plain files of an entry."""
        if (folder := self._opened.pop(entry, None)) is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def _decrypt(self, entry: Path, folder: Path) -> None:
        import pyrage

        for file in _files(entry):
            name = file.relative_to(entry)
            plain = folder / (name.with_name(name.name.removesuffix(SUFFIX)))
            plain.parent.mkdir(parents=True, exist_ok=True)
            if not name.name.endswith(SUFFIX):
                shutil.copyfile(file, plain)
                continue
            try:
                pyrage.decrypt_file(str(file), str(plain), [self._identity])
            except pyrage.DecryptError as error:
                if "No matching keys" in str(error):
                    msg = (
                        f"the cache entry {str(entry)!r} is encrypted for another key than {str(self._key_file)!r}: "
                        f"set {KEY_VARIABLE} to the right one, or choose another --cache-dir"
                    )
                    raise SignatureError(msg) from error
                msg = f"{name} cannot be decrypted: {error}"
                raise ValueError(msg) from error
            except OSError as error:
                # A changed byte in the middle is an OSError without a number, one of the disk has one.
                if error.errno is not None or "decryption error" not in str(error):
                    raise
                msg = f"{name} is damaged: {error}"
                raise ValueError(msg) from error

    def _end(self) -> None:
        shutil.rmtree(self._own, ignore_errors=True)
        # Not empty while another process uses the cache.
        for folder in (self._plain / "staging", self._plain):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _sweep(self) -> None:
        """Remove what processes that have died left in the clear."""
        for folder in self._plain.iterdir():
            if folder.name.isdecimal() and not _alive(int(folder.name)):
                shutil.rmtree(folder, ignore_errors=True)
        for folder in self.staging.iterdir():
            # As the cache names it: the key, the process, and something random.
            owner = folder.name.split("-")[1:2]
            if owner and owner[0].isdecimal() and not _alive(int(owner[0])):
                shutil.rmtree(folder, ignore_errors=True)


def seal_for(root: Path) -> Seal | None:
    """Return the seal of the cache in ``root``, or None if no key is set. Raises `SignatureError`."""
    named = os.environ.get(KEY_VARIABLE)
    return Seal(Path(named).expanduser(), root) if named else None


def is_sealed(entry: Path) -> bool:
    """Return whether an entry of a cache is encrypted."""
    return any(file.name.endswith(SUFFIX) for file in entry.iterdir())


def create_identity(path: Path) -> str:
    """Make a key file (mode 0600) and return the public key. Raises `SignatureError` if there is such a file."""
    _require()
    from pyrage import x25519

    identity = x25519.Identity.generate()
    with storage_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            msg = f"{str(path)!r} exists, and a key that is lost cannot be made again: choose another name"
            raise SignatureError(msg) from error
        with os.fdopen(handle, "w", encoding="ascii") as file:
            # As age-keygen writes it, so that its programs read the cache too.
            file.write(f"# public key: {identity.to_public()}\n{identity}\n")
    return str(identity.to_public())


def read_identity(path: Path) -> Identity:
    """Read a key file as age-keygen writes it. Raises `SignatureError` if it is no such file or others can read it."""
    _require()
    from pyrage import IdentityError, x25519

    try:
        data, mode = read_small(path, _MOST_KEY_BYTES), stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        msg = f"the key {str(path)!r} of the cache cannot be read ({error.strerror}); check {KEY_VARIABLE}"
        raise SignatureError(msg) from error
    line = next((line.strip() for line in data.splitlines() if line.strip().startswith(_MARK)), None)
    if line is None:
        what = "is encrypted" if b"age-encryption.org" in data or b"BEGIN AGE" in data else "holds no secret key of age"
        msg = f"the key file {str(path)!r} {what}; to make one: phonebench keys NAME --for-cache"
        raise SignatureError(msg)
    if mode & 0o077:
        msg = f"the key {str(path)!r} can be read by other users (mode {mode:04o}); first: chmod 600 {path}"
        raise SignatureError(msg)
    try:
        return x25519.Identity.from_str(line.decode("ascii", errors="replace"))
    except IdentityError as error:
        msg = f"the key {str(path)!r} is damaged ({error}): copy it again"
        raise SignatureError(msg) from error


def _require() -> None:
    from importlib.util import find_spec

    if find_spec("pyrage") is None:
        raise MissingPackageError(package="pyrage", extra="secrets", purpose="an encrypted cache")


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _private(folder: Path) -> None:
    """Make a folder that only this user can enter. Raises `SignatureError` if somebody else has made it."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        msg = f"{str(folder)!r} is not a private folder of this user: remove it"
        raise SignatureError(msg)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
