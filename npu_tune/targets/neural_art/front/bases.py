"""For which choices of the whole network a front is worth asking for."""

from __future__ import annotations

from itertools import product

from npu_tune.space import NETWORK_SCOPE, Configuration, SearchSpace
from npu_tune.targets.neural_art.knobs import SPLIT_THRESHOLD


def bases(space: SearchSpace) -> tuple[Configuration, ...]:
    """The default, and it with every other choice of the whole network's knobs but one.

    That one is the threshold below which layers are not split: what it does to some layers these
    can choose themselves, so the front without a threshold holds those with one.

    Args:
        space: of a network on this target.
    """
    threshold = f"{NETWORK_SCOPE}/{SPLIT_THRESHOLD}"
    knobs = [knob for knob in space.knobs if knob.layer == NETWORK_SCOPE]
    names = [knob.full_name for knob in knobs]
    values = [(0.0,) if knob.full_name == threshold else knob.values for knob in knobs]
    choices = (space.default.replace(dict(zip(names, c, strict=True))) for c in product(*values))
    return tuple(dict.fromkeys([space.default, *choices]))
