"""`litecast quantize`, and the options of quantization that `litecast convert` has too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

import litecast
from litecast.cli.console import command as make_command
from litecast.cli.console import named, print_json, progress
from litecast.cli.summary import summary

Function = TypeVar("Function", bound=Callable[..., Any])
FORM = "[op:|signature:]WHERE=SCHEME"
FIELDS = ("op", "signature")


def rule_options(function: Function) -> Function:
    """Add the options that change a recipe."""
    rule = click.option(
        "--rule",
        "rules",
        multiple=True,
        metavar=FORM,
        help="A scheme (float, fp16, w8, w4, w8-only ...) for the operations whose path matches the glob "
        "WHERE, or op:NAME|NAME, or signature:KEY (repeatable; the last that matches counts).",
    )
    coarse = click.option("--per-tensor", is_flag=True, help="One scale per tensor instead of per channel.")
    return rule(coarse(function))


def recipe_data(how: str, rules: tuple[str, ...], per_tensor: bool) -> dict[str, Any]:
    """Return the recipe of the options, as data."""
    return {"mode": how, "per_tensor": per_tensor, "rules": list(map(_rule, rules))}


def _rule(text: str) -> dict[str, Any]:
    where, scheme = named(text, "--rule", FORM)
    kind, colon, rest = where.partition(":")
    field, value = (kind, rest) if colon and kind in FIELDS else ("path", where)
    return {field: value, "scheme": scheme}


@make_command("quantize")
@click.argument("source")
@click.option("-o", "--output", help="The .tflite to write [default: SOURCE_MODE.tflite in this directory].")
@click.option(
    "-m",
    "--mode",
    default="dynamic",
    show_default=True,
    metavar="MODE|FILE",
    help="float16, dynamic, weights, int4, int4-block32 (64, 128, 256), int2, or a recipe (.json, .toml).",
)
@rule_options
@click.option(
    "--verify", "reference", metavar="IO.npz", help="Compare the result with these inputs and outputs."
)
@click.option(
    "--tolerance", type=float, default=1e-4, show_default=True, help="Relative error that --verify allows."
)
@click.option(
    "--conversion-metadata/--no-conversion-metadata", default=True, help="Write CONVERSION_METADATA."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    source: str, output: str | None, mode: str, rules: tuple[str, ...], per_tensor: bool, verbose: bool,
    as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Quantize SOURCE, a float .tflite: store its weights in fewer bits.

    What stays in float is listed with the reason. LiteRT checks the result before it is written.
    """
    target = f"{Path(source).stem}_{Path(mode).stem}.tflite" if output is None else output
    recipe = recipe_data(mode, rules, per_tensor)
    with progress(f"quantizing {source}") as phase:
        report = litecast.quantize(source, recipe, output=target, progress=phase, **options).report
    if as_json:
        print_json({**report.to_json(), "output": target})
    else:
        click.echo(summary(report, target, verbose))
