"""Arm Ethos-U through its own compiler, Vela."""

from npu_tune.targets.ethos_u.family import EthosUFamily

__all__ = ["EthosUFamily"]
