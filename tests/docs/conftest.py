"""Makes the programs in docs/commands importable, and finds the compiler where there is one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ADAPTER = Path(__file__).parents[2] / "docs" / "commands" / "tpu_mlir"
sys.path.insert(0, str(ADAPTER))


@pytest.fixture(scope="session")
def tpu_mlir() -> str:
    """The folder that setup.sh has made."""
    home = os.environ.get("TPU_MLIR_HOME", "")
    if not home:
        pytest.skip("TPU_MLIR_HOME names no environment of docs/commands/tpu_mlir/setup.sh")
    return home
