"""`litecast show`."""

from __future__ import annotations

import click

import litecast
from litecast.cli.console import columns, ports, print_json, size
from litecast.cli.console import command as make_command
from litecast.report import describe, op_counts, weight_bytes


@make_command("show")
@click.argument("source")
@click.option("--summary", "only_summary", is_flag=True, help="Leave out the graphs.")
@click.option("--tags", help="Tags of a SavedModel's meta graph, separated by commas [default: serve].")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def command(source: str, only_summary: bool, tags: str | None, as_json: bool, verbose: bool) -> None:
    """Show SOURCE, a .tflite or a SavedModel: what it takes and gives, its operations and its graphs.

    A SavedModel is shown as it is read, before any optimisation.
    """
    model = litecast.load(source, tags=tags)
    signatures, ops, weights = describe(model), op_counts(model), weight_bytes(model)
    if as_json:
        found = {
            key: {"inputs": list(map(str, signature.inputs)), "outputs": list(map(str, signature.outputs))}
            for key, signature in signatures.items()
        }
        print_json({"signatures": found, "ops": ops, "weights": weights, "metadata": list(model.metadata)})
        return
    for key, signature in signatures.items():
        click.echo(f"signature {key}")
        click.echo(ports(signature))
    click.echo(f"{sum(ops.values())} operations, {size(weights)} of constants")
    click.echo(columns([(name, str(count)) for name, count in ops.items()]))
    if model.metadata:
        click.echo(f"metadata: {', '.join(model.metadata)}")
    if not only_summary:
        from litecast.ir.text import print_model

        click.echo("\n" + print_model(model, locations=verbose))
