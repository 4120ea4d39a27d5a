"""``phonebench keys``, ``sign`` and ``verify``."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.console import print_json
from harness.cli.options import json_option, results_option
from harness.cli.paths import PATH


@click.command(short_help="Make a key pair to sign with.")
@click.argument("name", type=PATH)
@click.option(
    "--days",
    type=click.IntRange(1, 36500),
    metavar="N",
    default=365,
    show_default=True,
    help="How long the certificate is valid.",
)
@click.option("--for-cache", is_flag=True, help="Make the key of an encrypted cache instead, in the file NAME.")
@json_option
def keys(name: Path, days: int, *, for_cache: bool, as_json: bool) -> None:
    """Make the key NAME.key to sign with, and what others verify with: NAME.pub, or the certificate NAME.crt.

    Keep NAME.key to yourself. The certificate expires, the bare public key does not. If the variable
    PHONEBENCH_KEY_PASSWORD is set, the key is encrypted with that password.
    """
    if for_cache:
        _make_cache_key(name, as_json=as_json)
        return
    from harness.signing.keys import create_key, key_password

    made = create_key(name, days=days, password=key_password())
    expires = f"{made.expires_at:%Y-%m-%d}"
    if as_json:
        paths = {"private": made.private, "public": made.public, "certificate": made.certificate}
        print_json({what: str(path) for what, path in paths.items()} | {"expires": expires})
        return
    click.echo(f"private key (keep it to yourself): {made.private}")
    click.echo(f"public key: {made.public}")
    click.echo(f"certificate, valid until {expires}: {made.certificate}")


def _make_cache_key(path: Path, *, as_json: bool) -> None:
    from harness.artifacts.sealed import KEY_VARIABLE, create_identity

    public = create_identity(path)
    if as_json:
        print_json({"private": str(path), "public": public})
        return
    click.echo(f"key of an encrypted cache (without it, the cache cannot be read): {path}")
    click.echo(f"to use it: export {KEY_VARIABLE}={path.absolute()}")


@click.command(short_help="Sign files, model folders or finished runs.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option("--key", type=PATH, required=True, metavar="FILE", help="The private key.")
@results_option
@json_option
def sign(paths: tuple[str, ...], key: Path, results: Path, *, as_json: bool) -> None:
    """Sign each PATH: a model file, a model folder, a finished run (its id or latest), or any other file.

    The signature is FILE.sig beside a file, and phonebench.sig in a folder. Nothing is sent anywhere.
    """
    from harness.workflows.sign import sign_paths

    written = sign_paths(paths, key, results)
    if as_json:
        print_json({"signatures": [str(path) for path in written]})
        return
    for path in written:
        click.echo(f"signature: {path}")


@click.command(short_help="Verify the signatures of files, model folders or runs.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option("--key", type=PATH, required=True, metavar="FILE", help="The public key, or a certificate.")
@results_option
@json_option
def verify(paths: tuple[str, ...], key: Path, results: Path, *, as_json: bool) -> None:
    """Verify each PATH against its signature. Exit code 7: a file is not what the key has signed."""
    from harness.signing.coverage import ITSELF
    from harness.workflows.sign import verify_paths

    verified = verify_paths(paths, key, results)
    if as_json:
        print_json([{"path": str(one.path), "sha256": dict(one.digests)} for one in verified])
        return
    for one in verified:
        count = len(one.digests)
        what = one.digests.get(ITSELF, f"{count} file{'' if count == 1 else 's'}")
        click.echo(f"verified: {one.path} ({what})")
