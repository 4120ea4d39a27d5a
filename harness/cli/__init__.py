"""The command line: the only place that prints or exits.

A command parses its options, calls one function and renders the result. It imports what it needs inside its function,
which keeps ``phonebench --help`` nearly as fast as click itself.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from types import FrameType
from typing import Any

import click

from harness import __version__
from harness.cli.ab import ab
from harness.cli.blame import DEBUG, blame
from harness.cli.cache import cache
from harness.cli.compare import compare
from harness.cli.exchange import export, import_
from harness.cli.history import history
from harness.cli.inventory import devices, doctor, formats, models
from harness.cli.nightly import nightly
from harness.cli.results import report, show
from harness.cli.run import build, run
from harness.cli.runner import runner
from harness.cli.search import search, sensitivity
from harness.cli.start import completion, init, quickstart
from harness.errors import InterruptedRunError, PhonebenchError, UnknownNameError, suggestion


class CommandGroup(click.Group):
    """A group that suggests the nearest command for an unknown one, and lets ``head`` cut its output short."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. A reader that closes the pipe early is no error, though click would exit with 1."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The interpreter flushes standard output when it ends, which would fail on the closed pipe.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the one that was probably meant."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            msg = f"unknown command {args[0]!r}; {suggestion(args[0], self.list_commands(ctx))}"
            raise click.UsageError(msg)
        return super().resolve_command(ctx, args)


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="phonebench")
def cli() -> None:
    """Build optimised variants of a model for mobile, measure them on the device, and say which one to ship."""


COMMANDS: tuple[click.Command, ...] = (
    quickstart,
    init,
    run,
    build,
    runner,
    sensitivity,
    search,
    models,
    formats,
    devices,
    doctor,
    show,
    report,
    compare,
    ab,
    history,
    nightly,
    export,
    import_,
    cache,
    completion,
)
for command in COMMANDS:
    cli.add_command(command)


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit with the exit code of the command."""
    # A job that a scheduler ends must clean up its devices and keep its results, as after Ctrl-C.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        # Outside its standalone mode click neither prints errors nor chooses exit codes: that is done below.
        code = cli.main(args=args, prog_name="phonebench", standalone_mode=False)
    except UnknownNameError as error:
        from harness.cli.swapped import explain

        _fail(explain(error), error.exit_code)
    except PhonebenchError as error:
        _fail(str(error), error.exit_code)
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except (KeyboardInterrupt, click.Abort):
        _fail("stopped", InterruptedRunError.exit_code)
    except Exception as error:  # noqa: BLE001  the last place to catch a bug
        if os.environ.get(DEBUG):
            raise
        _fail(*blame(error))
    finally:
        # On its way out the interpreter would search every object for cycles, which takes a sixth of a short command.
        # The process ends here and every file is closed by its context manager, so nothing waits for a finalizer.
        gc.freeze()
    sys.exit(code if isinstance(code, int) else 0)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _fail(message: str, code: int) -> None:
    click.echo(f"phonebench: {message}", err=True)
    sys.exit(code)
