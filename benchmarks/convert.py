"""Both converters side by side, as cold processes in turns: `python -m benchmarks.convert`.

The official converter runs in an interpreter that has TensorFlow, Litecast in one that need not:

    LITECAST_BENCH_OFFICIAL=tf-env/bin/python LITECAST_BENCH_PYTHON=env/bin/python make bench

Beside each figure stands the limit this project sets itself; a figure past its limit ends with exit status 1.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import CommandFailedError, Samples, interleaved, run

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("LITECAST_SHARED", ROOT.parent / "shared"))
BUILT = ("mobilenet_v2", "resnet50", "nasnet_mobile")
REAL = ("basic_pitch",)
KERAS = ("mobilenet_v2.keras", "resnet50.keras", "efficientnet_b0.keras")

WALL_SHARE = 1 / 10  # of the official converter's wall time
KERAS_WALL_SHARE = 1 / 15  # of loading with Keras and converting officially
PEAK_SHARE = 1 / 4  # of its peak memory
PEAK_PER_WEIGHT, PEAK_BESIDE = 2, 120e6  # bytes: weights x 2 + 120 MB
IMPORT_LIMIT, VERSION_LIMIT = 0.03, 0.08  # seconds above a bare import of numpy

OFFICIAL = (
    "import sys, tensorflow as tf;"
    "content = tf.lite.TFLiteConverter.from_saved_model(sys.argv[1]).convert();"
    "open(sys.argv[2], 'wb').write(content)"
)
OFFICIAL_KERAS = (
    "import sys, keras, tensorflow as tf;"
    "model = keras.models.load_model(sys.argv[1]);"
    "content = tf.lite.TFLiteConverter.from_keras_model(model).convert();"
    "open(sys.argv[2], 'wb').write(content)"
)
LITECAST = "import sys; from litecast.cli import main; sys.exit(main())"


@dataclass(frozen=True)
class Check:
    """One figure with its limit."""

    model: str
    what: str
    value: float
    limit: float
    unit: str

    @property
    def ok(self) -> bool:
        """Whether the figure keeps its limit."""
        return self.value <= self.limit


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    environment = os.environ.get
    parser.add_argument("--official", default=environment("LITECAST_BENCH_OFFICIAL", sys.executable))
    parser.add_argument("--litecast", default=environment("LITECAST_BENCH_PYTHON", sys.executable))
    parser.add_argument("--models", nargs="*", default=[*BUILT, *REAL, *KERAS], metavar="NAME")
    parser.add_argument("--pairs", type=int, default=3, help="conversions of each model by each converter")
    parser.add_argument("--starts", type=int, default=20, help="runs of each start-up command")
    parser.add_argument("--json", default=str(ROOT / "benchmarks" / "results.json"), metavar="FILE")
    parser.add_argument("--only", choices=("official", "litecast"), help="measure one converter alone")
    return parser.parse_args()


def source(name: str, python: str) -> Path | None:
    """The SavedModel of that name, or the Keras file of `NAME.keras`, built by `python` where it has to be;
    None where it is not here.
    """
    if name in REAL:
        path = SHARED / "models" / name / "saved_model"
        return path if path.is_dir() else None
    stem, file = name.removesuffix(".keras"), "model.keras" if _is_keras(name) else "saved_model"
    run([python, "-m", "tests.models", stem], str(ROOT))
    where = f"from tests.models import cache_folder; print(cache_folder() / {stem!r} / {file!r})"
    printed = subprocess.run([python, "-c", where], cwd=ROOT, check=True, capture_output=True, text=True)
    return Path(printed.stdout.strip())


def _is_keras(name: str | Path) -> bool:
    return Path(name).suffix == ".keras"


def converters(options: argparse.Namespace, model: Path, outputs: dict[str, str]) -> dict[str, list[str]]:
    """The two command lines that convert `model`."""
    script = OFFICIAL_KERAS if _is_keras(model) else OFFICIAL
    commands = {
        "official": [options.official, "-c", script, str(model), outputs["official"]],
        "litecast": [options.litecast, "-c", LITECAST, "convert", str(model), "-o", outputs["litecast"]],
    }
    return {name: command for name, command in commands.items() if options.only in (None, name)}


def measure_model(options: argparse.Namespace, name: str, folder: str) -> dict[str, dict[str, float]] | None:
    """Figures of one model by converter; None where the model is not here."""
    model = source(name, options.official)
    if model is None:
        return None
    outputs = {side: str(Path(folder) / f"{name}.{side}.tflite") for side in ("official", "litecast")}
    commands = converters(options, model, outputs)
    samples = interleaved(commands, options.pairs, folder)
    worker = [
        options.litecast,
        str(ROOT / "benchmarks" / "outputs.py"),
        *(outputs[side] for side in commands),
    ]
    printed = subprocess.run(worker, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    found = zip(commands, json.loads(printed.stdout.splitlines()[-1]), strict=True)
    return {side: _figures(samples[side]) | held for side, held in found}


def _figures(samples: Samples) -> dict[str, float]:
    spread = max(samples.seconds) - min(samples.seconds)
    return {"seconds": samples.wall, "spread": spread, "peak": samples.peak}


def model_checks(name: str, figures: dict[str, dict[str, float]]) -> list[Check]:
    """What the limits say of one model measured on both sides."""
    ours, theirs = figures["litecast"], figures["official"]
    beside = PEAK_PER_WEIGHT * ours["weights"] + PEAK_BESIDE
    share = KERAS_WALL_SHARE if _is_keras(name) else WALL_SHARE
    checks = [
        Check(name, "wall time / official", ours["seconds"] / theirs["seconds"], share, "x"),
        Check(name, "peak memory / official", ours["peak"] / theirs["peak"], PEAK_SHARE, "x"),
        Check(name, "peak memory", ours["peak"] / 1e6, beside / 1e6, "MB"),
    ]
    if _is_keras(name):
        checks.append(Check(name, "operators", ours["operators"], theirs["operators"], ""))
    return checks


def measure_start(options: argparse.Namespace, folder: str) -> dict[str, float]:
    """Median seconds of the start-up commands above a bare import of numpy."""
    commands = {
        "numpy": [options.litecast, "-c", "import numpy"],
        "import litecast": [options.litecast, "-c", "import litecast"],
        "litecast --version": [options.litecast, "-c", LITECAST, "--version"],
    }
    interleaved(commands, 1, folder)  # writes the byte code
    samples = interleaved(commands, options.starts, folder)
    medians = {name: statistics.median(sample.seconds) for name, sample in samples.items()}
    bare = medians["numpy"]
    return {"numpy": bare} | {name: taken - bare for name, taken in medians.items() if name != "numpy"}


def start_checks(start: dict[str, float]) -> list[Check]:
    """What the limits say of the start-up times."""
    limits = {"import litecast": IMPORT_LIMIT, "litecast --version": VERSION_LIMIT}
    return [Check("-", f"{what} above numpy", start[what], limit, "s") for what, limit in limits.items()]


def show(models: dict[str, dict[str, dict[str, float]]], checks: list[Check]) -> None:
    """Print the two tables."""
    from rich.console import Console  # after all measuring: see `measure`
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 110)
    columns = (
        "model",
        "converter",
        "time s",
        "spread",
        "peak MB",
        "weights MB",
        "size MB",
        "ops",
        "latency ms",
    )
    table = Table(*columns, title="Conversion, cold processes (median time, largest peak)")
    for name, sides in models.items():
        for side, figure in sides.items():
            sizes = [f"{figure[key] / 1e6:.1f}" for key in ("peak", "weights", "size")]
            times = [f"{figure['seconds']:.2f}", f"{figure['spread']:.2f}"]
            latency = f"{figure['latency'] * 1e3:.2f}"
            table.add_row(name, side, *times, *sizes, f"{figure['operators']:.0f}", latency)
    console.print(table)
    verdicts = Table("model", "figure", "measured", "limit", "", title="Limits")
    for check in checks:
        limit, value = (f"{number:.3f} {check.unit}" for number in (check.limit, check.value))
        verdicts.add_row(check.model, check.what, value, limit, "ok" if check.ok else "[bold]PAST IT[/]")
    console.print(verdicts)


def main() -> int:
    """Measure, print, write JSON; 1 when a limit is passed, 2 when a command fails."""
    options = arguments()
    models: dict[str, dict[str, dict[str, float]]] = {}
    checks: list[Check] = []
    start: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            if options.only != "official":
                start = measure_start(options, folder)
                checks += start_checks(start)
            for name in options.models:
                figures = measure_model(options, name, folder)
                if figures is None:
                    print(f"{name}: left out, for it is not at {SHARED}", file=sys.stderr)
                    continue
                models[name] = figures
                checks += model_checks(name, figures) if options.only is None else []
        except CommandFailedError as failure:
            print(failure, file=sys.stderr)
            return 2
    machine = {"system": platform.platform(), "cores": os.cpu_count(), "python": platform.python_version()}
    verdicts = [vars(check) | {"ok": check.ok} for check in checks]
    result = {"machine": machine, "start": start, "models": models, "checks": verdicts}
    Path(options.json).write_text(json.dumps(result, indent=2) + "\n")
    show(models, checks)
    print(f"written to {options.json}")
    return 0 if all(check.ok for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
