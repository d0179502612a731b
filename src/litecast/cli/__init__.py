"""The command line: a module per command, imported when it is called."""

from __future__ import annotations

import importlib
from typing import Any

import click

from litecast import __version__

__all__ = ["main"]

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells give it."""
COMMANDS = {
    "convert": "Convert a SavedModel to a .tflite.",
    "quantize": "Store the weights of a .tflite in fewer bits.",
    "run": "Run a .tflite on arrays from .npz or .npy files.",
    "show": "Show what a .tflite or a SavedModel holds.",
    "verify": "Compare a .tflite with reference inputs and outputs.",
}


class Commands(click.Group):
    """A group that knows its commands' names and help, and imports one only when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"litecast.cli.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; Ctrl-C, also while it is imported, has an exit status of its own."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the command, naming the nearest one where there is none."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            hint = f" Did you mean {near[0]!r}?" if near else f" There are: {', '.join(COMMANDS)}."
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="litecast", message="%(prog)s %(version)s")
def main() -> None:
    """TensorFlow models to TensorFlow Lite, without TensorFlow.

    Exit status: 0 done, 1 the numbers differ from the reference, 2 bad input or something that cannot be
    converted, 3 a defect of Litecast, 130 interrupted.
    """
