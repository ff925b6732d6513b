"""Makes the scripts of the studies importable."""

from __future__ import annotations

import sys
from pathlib import Path

STUDIES = Path(__file__).parents[2] / "studies"
sys.path[:0] = [
    str(STUDIES),
    *(str(STUDIES / name) for name in ("neural-art", "layerwise-paper", "industrial")),
]
