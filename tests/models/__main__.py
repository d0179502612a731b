"""Build hard models into the cache: `python -m tests.models [--list] [NAME...]`, without a name all."""

from __future__ import annotations

import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

from . import ALL, build


def main(names: list[str]) -> int:
    """Build each named model; one line for each."""
    if names == ["--list"]:
        print("\n".join(ALL))
        return 0
    unknown = [name for name in names if name not in ALL]
    if unknown:
        print(f"no such model: {', '.join(unknown)}; there are: {', '.join(ALL)}", file=sys.stderr)
        return 2
    for name in names or ALL:
        start = time.perf_counter()
        folder = build(name)
        print(f"{name}: {folder} ({time.perf_counter() - start:.1f} s)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
