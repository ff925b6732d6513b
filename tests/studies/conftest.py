"""Makes the scripts of the studies importable."""

from __future__ import annotations

import sys
from pathlib import Path

STUDIES = Path(__file__).parents[2] / "studies"
OF_STUDIES = ("neural-art", "layerwise-paper", "industrial", "tpu-mlir", "optunahub")
sys.path[:0] = [str(STUDIES), *(str(STUDIES / name) for name in OF_STUDIES)]
