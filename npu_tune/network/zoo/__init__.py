"""Popular edge networks, built in code with seeded weights."""

from npu_tune.network.zoo.catalogue import ZOO, ZooEntry, is_zoo_name, zoo_names, zoo_network

__all__ = ["ZOO", "ZooEntry", "is_zoo_name", "zoo_names", "zoo_network"]
