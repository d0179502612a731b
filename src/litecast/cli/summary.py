"""What a person wants to know of a conversion, as text."""

from __future__ import annotations

from litecast.cli.console import columns, ports, size
from litecast.report import Kept, Quantized, Report

__all__ = ["summary"]

SHOWN = 5
"""Operations that stay in float, of one kind and reason, that are named unless all are asked for."""


def summary(report: Report, target: str, verbose: bool) -> str:
    """Return what a person wants to know of a conversion."""
    runtime = f"needs runtime {report.min_runtime or 'any'} or newer"
    lines = [f"{target}  {size(report.size)}, {report.seconds:.2f} s, {runtime}"]
    for key, signature in report.signatures.items():
        lines += [f"signature {key}", ports(signature)]
    total = sum(report.ops.values())
    lines.append(f"{total} operations: " + ", ".join(f"{name} {count}" for name, count in report.ops.items()))
    lines += [f"note: {note}" for note in report.notes]
    if report.quantization is not None:
        lines += _quantized(report.quantization, report.weights, verbose)
    if verbose:
        times = [(name, f"{seconds:.3f} s") for name, seconds in report.phases.items()]
        lines += ["time by phase", columns(times)]
        if report.rewrites:
            lines += ["rewrites", columns([(name, str(count)) for name, count in report.rewrites.items()])]
    return "\n".join(lines)


def _quantized(done: Quantized, weights: int, verbose: bool) -> list[str]:
    schemes = ", ".join(f"{name} {count}" for name, count in done.schemes.items()) or "nothing"
    lines = [f"quantized ({done.recipe}): {schemes}; weights {size(done.weights_before)} -> {size(weights)}"]
    groups: dict[tuple[str, str], list[Kept]] = {}
    for kept in done.kept:
        groups.setdefault((kept.op, kept.reason), []).append(kept)
    for (op, reason), alike in groups.items():
        lines.append(f"stays float: {len(alike)} {op}: {reason}")
        shown = alike if verbose else alike[:SHOWN]
        lines += [f"  {kept.place}" for kept in shown]
        lines += [f"  and {len(alike) - len(shown)} more (-v names them)"] * (len(alike) > len(shown))
    return lines + [f"warning: {warning}" for warning in done.warnings]
