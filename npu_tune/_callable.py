"""Lets a package be called like the function of the front door that bears its name.

``npu_tune.space``, ``npu_tune.compare`` and ``npu_tune.report`` are packages, and the front door offers
functions of these names. Whichever of the two an import has put there, both uses work.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class _CallableModule(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        api = importlib.import_module("npu_tune.api")
        return getattr(api, self.__name__.rpartition(".")[2])(*arguments, **options)


def make_callable(module: str) -> None:
    """Makes a module callable; a call is handed on to :mod:`npu_tune.api`."""
    sys.modules[module].__class__ = _CallableModule
