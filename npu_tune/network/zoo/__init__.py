"""Popular edge networks, built in code with seeded weights."""

from npu_tune.network.zoo.catalogue import (
    NAME_PATTERN,
    ZOO,
    ZooEntry,
    is_zoo_name,
    zoo_hint,
    zoo_names,
    zoo_network,
)

__all__ = [
    "NAME_PATTERN",
    "ZOO",
    "ZooEntry",
    "is_zoo_name",
    "zoo_hint",
    "zoo_names",
    "zoo_network",
]
