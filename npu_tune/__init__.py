"""npu-tune: tunes how a neural network is compiled for an edge accelerator.

The functions here do what the commands do and return values; see :mod:`npu_tune.api`. They are
imported when they are first used, so that importing the package stays cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from npu_tune._lazy import lazy_attributes

if TYPE_CHECKING:
    from npu_tune.api import (
        bind,
        compare,
        convert,
        evaluate,
        export,
        front,
        layers,
        load_study,
        plot,
        report,
        show,
        space,
        trials,
        tune,
        verify,
    )
    from npu_tune.space.optuna import suggest

__version__ = "0.1.0"

__all__ = [
    "bind",
    "compare",
    "convert",
    "evaluate",
    "export",
    "front",
    "layers",
    "load_study",
    "plot",
    "report",
    "show",
    "space",
    "suggest",
    "trials",
    "tune",
    "verify",
]

_HOMES = dict.fromkeys(__all__, "npu_tune.api") | {"suggest": "npu_tune.space.optuna"}

__getattr__ = lazy_attributes(__name__, _HOMES)
