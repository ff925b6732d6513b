"""The network-wide choices for which a front is worth computing."""

from __future__ import annotations

from itertools import product

from npu_tune.space import NETWORK_SCOPE, Configuration, SearchSpace
from npu_tune.targets.neural_art.knobs import SPLIT_THRESHOLD


def bases(space: SearchSpace) -> tuple[Configuration, ...]:
    """The default, and all its combinations of network-wide knobs with a split threshold of 0.

    The threshold only forbids splitting small layers, which each layer can also choose itself, so
    the front with the threshold 0 is at least as good as that with any other.

    Args:
        space: of a network on this target.
    """
    threshold = f"{NETWORK_SCOPE}/{SPLIT_THRESHOLD}"
    knobs = [knob for knob in space.knobs if knob.layer == NETWORK_SCOPE]
    names = [knob.full_name for knob in knobs]
    values = [(0.0,) if knob.full_name == threshold else knob.values for knob in knobs]
    choices = (space.default.replace(dict(zip(names, c, strict=True))) for c in product(*values))
    return tuple(dict.fromkeys([space.default, *choices]))
