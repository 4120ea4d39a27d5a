"""``phonebench init``, ``quickstart`` and ``completion``: the first steps."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.console import print_json
from harness.cli.options import json_option, listed, results_option
from harness.cli.paths import PATH
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.model.new_folder import NewModel


@click.command(short_help="Write a model folder to start from.")
@click.argument("path", type=PATH)
@click.option("--name", metavar="NAME", help="The name of the model.  [default: that of the folder]")
@click.option(
    "--source",
    metavar="SOURCE",
    help="package.module:factory, or a model file to copy into the folder.  [default: an example network to replace]",
)
@listed("--input", help="The inputs, as NAME:DTYPE:1x3x224x224; not needed for .pt2 and ready-made files.")
@click.option("--task", metavar="NAME", help="classification, regression, embedding or other.  [default: other]")
@click.option("--weights", metavar="FILE", help="A .safetensors file or a state dict, for a Python source.")
@click.option("--data", metavar="SOURCE", help="An .npz file, a folder of images, or module:function.")
@click.option("--license", metavar="NAME", help="The licence of the model, such as Apache-2.0.")
@json_option
def init(path: Path, as_json: bool, **options: Any) -> None:
    """Write a model folder to PATH: a model.toml, and an example network if no source is given.

    On a terminal it asks for what the options leave open. It never overwrites a file.
    """
    from harness.model.new_folder import write_folder
    from harness.wire import shape_text

    asks = sys.stdin.isatty() and sys.stderr.isatty() and not as_json
    card = write_folder(path, _answers(path, options, asks=asks))
    if as_json:
        print_json({"folder": str(path), "name": card.name, "files": sorted(file.name for file in path.iterdir())})
        return
    inputs = ", ".join(f"{spec.name} {spec.dtype.value} {shape_text(spec.shape)}" for spec in card.inputs)
    click.echo(f"{path / 'model.toml'}: model {card.name}, inputs {inputs or 'as the file says'}")
    click.echo(f"Next: edit the files in {_argument(path)}, then run: phonebench run {_argument(path)}")


def _argument(path: Path) -> str:
    """The folder as an argument: a bare name could be that of a bundled model."""
    import shlex

    return shlex.quote(str(path) if path.is_absolute() or len(path.parts) > 1 else f"./{path}")


def _answers(path: Path, options: dict[str, Any], *, asks: bool) -> NewModel:
    from harness.cli.options import flat
    from harness.errors import UnknownNameError
    from harness.model.card import Task
    from harness.model.distinct import plain_name
    from harness.model.new_folder import NewModel

    def ask(key: str, question: str, default: str = "") -> str:
        given: str | None = options[key]
        if given is not None or not asks:
            return given or default
        answer: str = click.prompt(question, default=default, err=True, show_default=bool(default))
        return answer.strip()

    inputs = tuple(flat(options["input"]))
    name = ask("name", "Name of the model", plain_name(path.resolve().name))
    source = ask("source", "Network: package.module:factory or a file; empty for an example to replace")
    if not inputs and asks and source and not source.endswith((".pt2", ".onnx", ".tflite", ".pte", ".keras")):
        answer = click.prompt("Inputs, such as image:float32:1x3x224x224, separated by commas", default="", err=True)
        inputs = tuple(part.strip() for part in answer.split(",") if part.strip())
    task = ask("task", "Task: classification, regression, embedding or other", Task.OTHER.value)
    if task not in tuple(Task):
        raise UnknownNameError(task, kind="task", allowed=[t.value for t in Task])
    return NewModel(
        name=name,
        source=source or None,
        inputs=inputs,
        task=Task(task),
        weights=options["weights"],
        data=ask("data", "Data: an .npz file, a folder of images, or module:function; empty for none") or None,
        license=ask("license", "Licence of the model, such as Apache-2.0; empty for none"),
    )


@click.command(short_help="Show the steps to a report from a phone, and the next one.")
@results_option
@json_option
def quickstart(results: Path, as_json: bool) -> None:
    """Show the steps from a new phone to a nightly job: which are done here, and the next command to run."""
    import msgspec

    from harness.workflows.quickstart import find_steps

    steps = find_steps(results)
    if as_json:
        print_json([msgspec.to_builtins(step) for step in steps])
        return
    following = next((step for step in steps if not step.done), None)
    for number, step in enumerate(steps, 1):
        mark = "done" if step.done else "next" if step is following else ""
        click.echo(f"{number}. {step.title:<44} {mark}".rstrip())
        shown = (step.found,) if step.done else (step.found, step.command) if step is following else (step.command,)
        for line in shown:
            if line:
                click.echo(f"   {line}")


@click.command(short_help="Print the script that completes commands in your shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), metavar="SHELL")
def completion(shell: str) -> None:
    """Print the script that completes commands, options and names in SHELL: bash, zsh or fish.

    For bash, write it where new shells find it:

    \b
      cd ~/.local/share/bash-completion/completions
      phonebench completion bash > phonebench
    """
    from click.shell_completion import get_completion_class

    from harness.cli import cli

    complete = get_completion_class(shell)
    if complete is None:
        msg = f"click has no completion for {shell!r}"
        raise UsageError(msg)
    click.echo(complete(cli, {}, "phonebench", "_PHONEBENCH_COMPLETE").source())
