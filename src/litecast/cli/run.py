"""`litecast run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import numpy as np

from litecast.cli.console import columns, load_array, named, once, print_json
from litecast.cli.console import command as make_command
from litecast.errors import ConvertError
from litecast.files import replacing

if TYPE_CHECKING:
    from litecast.tflite.runtime import Port, Runtime

THREADS = 1024
"""More of them than the system grants end the process within LiteRT."""


@make_command("run")
@click.argument("model")
@click.option(
    "-i", "--input", "inputs", multiple=True, metavar="NAME=FILE", help="An input, from .npz or .npy."
)
@click.option("--signature", metavar="KEY", help="The signature to run [default: the only one].")
@click.option("-o", "--output", metavar="OUT.npz", help="Write the outputs to this file.")
@click.option(
    "--labels", metavar="KEY=FILE", help="True classes: print the accuracy of the (first) output's arg max."
)
@click.option(
    "--time", "runs", type=click.IntRange(min=1), metavar="N", help="Print the median latency of N runs."
)
@click.option("--threads", type=click.IntRange(min=1, max=THREADS), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def command(
    model: str, inputs: tuple[str, ...], signature: str | None, output: str | None, labels: str | None,
    runs: int | None, threads: int, as_json: bool, verbose: bool,
) -> None:  # fmt: skip
    """Run MODEL, a .tflite, on arrays.

    FILE is a .npy, or a .npz that holds an array NAME or only one array. A model whose batch is fixed to 1
    runs on each sample of a larger batch in turn.
    """
    from litecast.tflite.runtime import Runtime

    runtime = Runtime(model, threads=threads)
    ports = runtime.inputs(signature)
    arrays = _arrays(inputs, ports)
    results = run_batch(runtime, arrays, ports, signature)
    if output is not None:
        with replacing(output) as temporary, open(temporary, "wb") as file:
            np.savez(file, **results)
    found: dict[str, Any] = {"outputs": {name: _statistics(array) for name, array in results.items()}}
    if labels is not None:
        key, path = named(labels, "--labels", "KEY=FILE")
        found["accuracy"] = accuracy(next(iter(results.values())), load_array(path, key))
    if runs is not None:
        sample = {port.name: _first(arrays[port.name], port) for port in ports}
        found["median_seconds"] = runtime.time(runs, sample, signature)
    if as_json:
        print_json(found)
    else:
        _print(found, results)


def _arrays(inputs: tuple[str, ...], ports: list[Port]) -> dict[str, Any]:
    known = [port.name for port in ports]
    arrays: dict[str, Any] = {}
    for text in inputs:
        name, path = named(text, "--input", "NAME=FILE")
        once(arrays, name, "--input")
        if name not in known:
            raise ConvertError(f"the model has no input {name!r}; it has: {', '.join(known)}")
        arrays[name] = load_array(path, name)
    missing = [str(port.name) for port in ports if port.name not in arrays]
    if missing:
        wanted = ", ".join(f"--input {name}=FILE" for name in missing)
        raise ConvertError(f"the model takes {', '.join(known)}: add {wanted}")
    return {port.name: arrays[port.name] for port in ports}


def run_batch(
    runtime: Runtime, arrays: dict[str, Any], ports: list[Port], signature: str | None
) -> dict[str, Any]:
    """Run once, or once a sample where every input's batch is fixed to 1 and the arrays hold more samples."""
    counts = {array.shape[0] for array in arrays.values() if array.ndim}
    fixed = all(port.shape[:1] == (1,) for port in ports)
    if not (fixed and len(counts) == 1 and counts != {1} and all(array.ndim for array in arrays.values())):
        return runtime.run(arrays, signature)
    steps = [
        runtime.run({name: array[sample : sample + 1] for name, array in arrays.items()}, signature)
        for sample in range(counts.pop())
    ]
    return {name: np.concatenate([step[name] for step in steps]) for name in steps[0]}


def _first(array: Any, port: Port) -> Any:
    return array[:1] if port.shape[:1] == (1,) else array


def accuracy(scores: Any, labels: Any) -> float:
    """Return the share of samples whose highest score is at the label; ConvertError where counts differ."""
    classes = np.asarray(scores).argmax(-1).reshape(-1)
    labels = np.asarray(labels).reshape(-1)
    if classes.shape != labels.shape:
        raise ConvertError(f"{len(labels)} labels for {len(classes)} results")
    return float((classes == labels).mean())


def _statistics(array: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {"dtype": str(array.dtype), "shape": list(array.shape)}
    if array.size and array.dtype.kind in "fiub":
        numbers = array.astype(np.float64)
        facts |= {"min": float(numbers.min()), "mean": float(numbers.mean()), "max": float(numbers.max())}
    return facts


def _print(found: dict[str, Any], results: dict[str, Any]) -> None:
    rows = [("output", "dtype", "shape", "min", "mean", "max")]
    for name, facts in found["outputs"].items():
        shape = "x".join(map(str, facts["shape"])) or "scalar"
        numbers = [f"{facts[key]:.6g}" if key in facts else "" for key in ("min", "mean", "max")]
        rows.append((name, facts["dtype"], shape, *numbers))
    click.echo(columns(rows, ""))
    for name, array in results.items():
        if array.size <= 16:
            click.echo(f"{name} = {np.array2string(array, precision=6, separator=', ')}")
    if "accuracy" in found:
        click.echo(f"accuracy {found['accuracy']:.4f}")
    if "median_seconds" in found:
        click.echo(f"median latency {found['median_seconds'] * 1e3:.3f} ms")
