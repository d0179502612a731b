"""`litecast verify`."""

from __future__ import annotations

import click

import litecast
from litecast.cli.console import columns, print_json
from litecast.cli.console import command as make_command
from litecast.compare import TOLERANCE


@make_command("verify")
@click.argument("model")
@click.option("--reference", required=True, metavar="IO.npz", help="Inputs and the outputs to expect.")
@click.option(
    "--tolerance", type=float, default=TOLERANCE, show_default=True, help="Relative error that is allowed."
)
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def command(model: str, reference: str, tolerance: float, as_json: bool, verbose: bool) -> None:
    """Run MODEL, a .tflite, on the inputs of a reference and compare the outputs.

    Exit status 1 where they differ. Keys of the .npz: in::NAME and out::NAME, or, for several steps in order
    on one interpreter, STEP::SIGNATURE::in|out::NAME. Relative error means max|a-b| / max|reference|.
    """
    result = litecast.verify(model, reference, tolerance=tolerance)
    if as_json:
        print_json(
            {"ok": result.ok, "tolerance": tolerance, "checks": [vars(item) for item in result.checks]}
        )
    else:
        rows = [("step", "output", "max abs", "relative", "cosine", "verdict")]
        for item in result.checks:
            verdict = "ok" if item.ok else f"DIFFERS {item.note}".rstrip()
            output = item.output if item.signature is None else f"{item.signature}: {item.output}"
            figures = (f"{item.max_abs:.3g}", f"{item.relative:.3g}", f"{item.cosine:.6f}")
            rows.append((item.step, output, *figures, verdict))
        click.echo(columns(rows, ""))
        count, wrong = len(result.checks), sum(not item.ok for item in result.checks)
        click.echo(f"{wrong} of {count} outputs differ" if wrong else f"all {count} outputs agree")
    if not result.ok:
        raise click.exceptions.Exit(1)
