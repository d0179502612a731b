"""`litecast convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import litecast
from litecast.cli.console import command as make_command
from litecast.cli.console import named, once, print_json, progress
from litecast.cli.quantize import recipe_data, rule_options
from litecast.cli.summary import summary

DYNAMIC = ("?", "-1", "None")
"""What stands for a dimension that stays dynamic."""


def parse_shapes(texts: tuple[str, ...]) -> dict[str, list[int | None]]:
    """Parse NAME=1,224,224,3, where a dimension may be one of DYNAMIC."""
    shapes: dict[str, list[int | None]] = {}
    for text in texts:
        name, dims = named(text, "--shape", "NAME=1,224,224,3")
        once(shapes, name, "--shape")
        try:
            shapes[name] = [None if dim.strip() in DYNAMIC else int(dim) for dim in dims.split(",")]
        except ValueError:
            raise click.BadParameter(
                f"{text!r}: {dims!r} is no list of sizes", param_hint="--shape"
            ) from None
        if any(dim is not None and dim < 0 for dim in shapes[name]):
            raise click.BadParameter(f"{text!r}: a size is negative", param_hint="--shape")
    return shapes


@make_command("convert")
@click.argument("source")
@click.option("-o", "--output", help="The .tflite to write [default: SOURCE's name in this directory].")
@click.option(
    "--signature", "signatures", multiple=True, metavar="KEY", help="Convert this signature (repeatable)."
)
@click.option("--tags", help="Tags of the meta graph, separated by commas [default: serve].")
@click.option(
    "--shape", "shapes", multiple=True, metavar="NAME=1,224,224,3", help="Fix the shape of an input."
)
@click.option(
    "--batch", type=click.IntRange(min=1), help="Fix dimension 0 of every input where it is unknown."
)
@click.option("--weights", metavar="FILE", help="The weights, where SOURCE is the config of a Keras model.")
@click.option(
    "--states",
    type=click.Choice(["variables", "io"]),
    default="variables",
    show_default=True,
    help="How stateful Keras layers keep state: in variables, or as inputs and outputs.",
)
@click.option(
    "--import",
    "modules",
    multiple=True,
    metavar="MODULE",
    help="Import a module that registers lowerings of Keras layers (litecast.keras.register).",
)
@click.option(
    "--quantize",
    "mode",
    metavar="MODE|FILE",
    help="Store weights in fewer bits: float16, dynamic, weights, int4, ... (see `litecast quantize`).",
)
@rule_options
@click.option(
    "--verify", "reference", metavar="IO.npz", help="Compare the result with these inputs and outputs."
)
@click.option(
    "--tolerance",
    type=float,
    default=1e-4,
    show_default=True,
    help="Relative error that --verify allows.",
)
@click.option(
    "--conversion-metadata/--no-conversion-metadata", default=True, help="Write CONVERSION_METADATA."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    source: str, output: str | None, modules: tuple[str, ...], mode: str | None, rules: tuple[str, ...],
    per_tensor: bool, verbose: bool, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Convert SOURCE to a .tflite: a SavedModel or a Keras model (.keras, .h5 or config.json).

    All signatures are converted unless --signature names some. LiteRT checks the result before it is written.
    """
    for module in modules:
        _import(module)
    target = f"{Path(source.rstrip('/')).stem}.tflite" if output is None else output
    options["signatures"] = list(options["signatures"]) or None
    options["shapes"] = parse_shapes(options["shapes"])
    if mode is not None:
        options["quantize"] = recipe_data(mode, rules, per_tensor)
    elif rules or per_tensor:
        raise click.UsageError("--rule and --per-tensor go with --quantize")
    with progress(f"converting {source}") as phase:
        report = litecast.convert(source, output=target, progress=phase, **options).report
    if as_json:
        print_json({**report.to_json(), "output": target})
    else:
        click.echo(summary(report, target, verbose))


def _import(module: str) -> None:
    """Import a module of the user's, from the working directory too."""
    import importlib
    import sys

    sys.path.insert(0, "")
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise click.BadParameter(f"{module!r} cannot be imported: {error}", param_hint="--import") from error
    finally:
        sys.path.remove("")
