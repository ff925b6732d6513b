"""Arm Ethos-U through its own compiler, Vela."""

from __future__ import annotations

from typing import TYPE_CHECKING

from npu_tune._lazy import lazy_attributes

if TYPE_CHECKING:
    from npu_tune.targets.ethos_u.family import EthosUFamily

__all__ = ["EthosUFamily"]

# A worker process is handed its target, and needs no family.
__getattr__ = lazy_attributes(__name__, {"EthosUFamily": "npu_tune.targets.ethos_u.family"})
