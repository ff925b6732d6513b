"""Any device and any vendor's compiler through a program that is run once per evaluation."""

from __future__ import annotations

from npu_tune.targets.command.family import CommandFamily

__all__ = ["CommandFamily"]
