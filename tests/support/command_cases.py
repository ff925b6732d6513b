"""Tables of commands for tests."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

PROGRAM = Path(__file__).parent / "command_program.py"

METRICS = [
    {"name": "total_cycles", "unit": "cycles", "kind": "estimated", "objective": True},
    {"name": "accuracy", "kind": "estimated", "goal": "maximize"},
]

BITS = {"name": "bits", "operators": ["Conv"], "values": [4, 8, 16], "default": 8, "ordered": True}


def act_knob(*acts: str) -> dict[str, Any]:
    """A knob of the network that makes the program do something else."""
    values = ["answer", *acts]
    return {"name": "act", "layers": "network", "values": values, "default": "answer"}


def command_table(*acts: str, **changes: Any) -> dict[str, Any]:
    """The table of the tests' program; a change to None takes a key out."""
    table = {
        "argv": [sys.executable, "-S", "-E", str(PROGRAM)],
        "metrics": METRICS,
        "profile": {},
        "knobs": [act_knob(*acts), BITS],
        **changes,
    }
    return {key: value for key, value in table.items() if value is not None}


def write_command(path: Path, table: Mapping[str, Any]) -> Path:
    """Writes a command file."""
    path.write_text(tomli_w.dumps(dict(table)))
    return path
