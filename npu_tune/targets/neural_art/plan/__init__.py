"""Plans whole configurations from what the model knows of costs, without simulating any.

:mod:`.layers` finds the cheapest choices of each layer, :mod:`.pieces` the epochs and depth-first
segments that they can form, :mod:`.paths` the cheapest sequence of these below a limit on memory,
and :mod:`.starts` a few configurations along the trade-off between time and memory.
"""

from npu_tune.targets.neural_art.plan.starts import planned_starts

__all__ = ["planned_starts"]
