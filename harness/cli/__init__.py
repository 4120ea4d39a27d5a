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
from harness.cli.cloud import cloud
from harness.cli.compare import compare
from harness.cli.dashboard import dashboard
from harness.cli.exchange import export, import_
from harness.cli.farm import farm
from harness.cli.history import history
from harness.cli.inventory import devices, doctor, formats, models
from harness.cli.nightly import nightly
from harness.cli.npu import npu
from harness.cli.results import report, show
from harness.cli.run import build, run
from harness.cli.runner import runner
from harness.cli.search import search, sensitivity
from harness.cli.signing import keys, sign, verify
from harness.cli.start import completion, init, quickstart
from harness.cli.usage import click_message
from harness.errors import InterruptedRunError, PhonebenchError, UnknownNameError, UsageError, suggestion


class CommandGroup(click.Group):
    """A group that lists its commands by task, suggests the nearest one, and lets ``head`` cut its output short."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list of commands per task, in the order in which a newcomer needs them."""
        longest = max(len(name) for name in self.list_commands(ctx))
        width = formatter.width - 6 - longest
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                # Padded, so that the columns of all sections line up.
                formatter.write_dl([(str(c.name).ljust(longest), c.get_short_help_str(width)) for c in commands])

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
            raise UsageError(msg)
        return super().resolve_command(ctx, args)


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="phonebench")
def cli() -> None:
    """Build optimised variants of a model for mobile, measure them on the device, and say which one to ship.

    New here? Start with: phonebench quickstart
    """


SECTIONS: dict[str, tuple[click.Command, ...]] = {
    "First steps": (quickstart, doctor, devices, formats, models, init, completion),
    "Build and measure": (run, build, ab, search, sensitivity, npu, runner, cache),
    "Stored runs": (show, report, compare, export, import_),
    "Every night": (nightly, history, dashboard),
    "Trust": (keys, sign, verify),
    "Many hosts": (farm, cloud),
}
for command in (command for commands in SECTIONS.values() for command in commands):
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
    except click.exceptions.NoArgsIsHelpError as error:
        # A group without a command: the message is its whole help, which needs no name in front.
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as error:
        _fail(click_message(error), 2)
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
