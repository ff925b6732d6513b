"""Makes the scripts of the studies importable."""

from __future__ import annotations

import sys
from pathlib import Path

STUDIES = Path(__file__).parents[2] / "studies"
sys.path[:0] = [str(STUDIES), str(STUDIES / "neural-art"), str(STUDIES / "layerwise-paper")]
