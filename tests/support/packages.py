"""Packages that measured targets export: their program, run as a user would."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from two_runtimes import run_onnx

from npu_tune.network import Network
from npu_tune.targets.measured.engine import Array


def printed_outputs(program: Path, *, cwd: Path) -> Array:
    """All numbers that a program prints behind its time, one after the other.

    Args:
        program: that was exported.
        cwd: another folder.
    """
    ended = subprocess.run(
        [sys.executable, "-I", str(program)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    time, outputs = ended.stdout.split("\n", 1)
    assert re.fullmatch(r"\d+\.\d{3} ms", time), time
    return np.array([float(number) for number in re.findall(r"-?\d+\.\d*(?:e[+-]\d+)?", outputs)])


def true_outputs(network: Network, sample: Path) -> Array:
    """What onnxruntime computes of the network that was tuned, for the package's input."""
    with np.load(sample) as feed:
        return np.concatenate([each.ravel() for each in run_onnx(network, dict(feed))])
