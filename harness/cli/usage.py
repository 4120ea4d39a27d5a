"""Words click's own usage errors as phonebench words its: what is wrong, and what to do next."""

from __future__ import annotations

import click


def click_message(error: click.ClickException) -> str:
    """Return the message of an error that click raised, ending with the call whose help explains it."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return _what(error)
    path = context.command_path
    if isinstance(error, click.MissingParameter) and isinstance(error.param, click.Argument):
        # click names neither the other arguments nor the order in which they come.
        call = " ".join([path, *context.command.collect_usage_pieces(context)]).replace(" [OPTIONS]", "")
        return f"{_named(error.param, context)} is missing; write: {call}"
    what = _what(error)
    return f"{what}{'' if what.endswith('?') else ';'} see: {path} --help"


def _named(argument: click.Argument, context: click.Context) -> str:
    choices = argument.type.choices if isinstance(argument.type, click.Choice) else ()
    listed = f" ({', '.join(map(str, choices))})" if choices else ""
    return argument.make_metavar(context) + listed


def _what(error: click.ClickException) -> str:
    if isinstance(error, click.NoSuchOption):
        # click lists three candidates, of which only the nearest is ever the one that was meant.
        near = f", did you mean {error.possibilities[0]!r}?" if error.possibilities else ""
        return f"there is no option {error.option_name!r}{near}"
    message = error.format_message().rstrip(".")
    return message[:1].lower() + message[1:]
