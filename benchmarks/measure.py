"""Run commands as cold processes and take their wall time and peak memory.

This process stays small on purpose: on Linux a child's peak counts its parent's memory at the fork.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

HIDDEN = "PYTHONDONTWRITEBYTECODE"  # pip compiles what it installs; an editable install must be able to
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "PYTHONWARNINGS": "ignore"}
MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes there, kilobytes on Linux


class CommandFailedError(RuntimeError):
    """A measured command ended with an error; the message is the end of what it printed."""


@dataclass
class Samples:
    """The runs of one command."""

    seconds: list[float] = field(default_factory=list)
    peak_bytes: list[int] = field(default_factory=list)

    @property
    def wall(self) -> float:
        """Median wall time in seconds."""
        return statistics.median(self.seconds)

    @property
    def peak(self) -> int:
        """Largest peak resident memory in bytes."""
        return max(self.peak_bytes)


def run(command: Sequence[str], folder: str) -> tuple[float, int]:
    """Run one command to its end in `folder`; give (seconds, peak resident bytes)."""
    with tempfile.TemporaryFile() as log:
        environment = {name: value for name, value in os.environ.items() if name != HIDDEN} | QUIET
        start = time.perf_counter()
        child = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            log.seek(0)
            tail = log.read().decode(errors="replace").strip().splitlines()[-5:]
            raise CommandFailedError("\n".join([f"exit status {child.returncode}: {command[0]}", *tail]))
    return seconds, usage.ru_maxrss * MAXRSS_BYTES


def interleaved(commands: Mapping[str, Sequence[str]], rounds: int, folder: str) -> dict[str, Samples]:
    """Run every command once a round, so that a busy moment of the machine falls on all of them alike."""
    samples = {name: Samples() for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            seconds, peak = run(command, folder)
            samples[name].seconds.append(seconds)
            samples[name].peak_bytes.append(peak)
    return samples
