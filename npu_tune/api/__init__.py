"""The front door: what the command line does, as functions that return values.

::

    import npu_tune

    result = npu_tune.tune("resnet8", "neural-art-stm32n6", evaluations=200)
    result.best.cost
    result.to_dataframe()
    npu_tune.evaluate("resnet8", "neural-art-stm32n6", result.best.configuration)
"""

from npu_tune.api.comparisons import compare
from npu_tune.api.fronts import front
from npu_tune.api.problems import Model, bind, convert, evaluate, space
from npu_tune.api.reports import layers, plot, report, show, trials
from npu_tune.api.studies import export, load_study, tune
from npu_tune.api.verifications import verify

__all__ = [
    "Model",
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
    "trials",
    "tune",
    "verify",
]
