"""Options that say how to evaluate on Ray."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from npu_tune.errors import UsageError

_OPTIONS = (
    click.option("--ray", metavar="ADDRESS", help="Evaluate on Ray: local, auto or an address."),
    click.option(
        "--start-timeout",
        "start_timeout_s",
        metavar="TIME",
        help="What a Ray cluster may take to have room for the first worker. [default: 1m]",
    ),
    click.option("--num-cpus", type=float, help="Processors per worker on Ray. [default: 1]"),
    click.option("--memory", metavar="SIZE", help="Memory per worker on Ray, such as '2 GiB'."),
    click.option(
        "--resources",
        metavar="JSON",
        help="Custom resources per worker on Ray, such as '{\"board\": 1}'.",
    ),
    click.option(
        "--runtime-env-json",
        "runtime_env",
        metavar="JSON",
        help="The environment that Ray makes for its workers.",
    ),
)

_FLAGS = {
    "start_timeout_s": "--start-timeout",
    "num_cpus": "--num-cpus",
    "memory": "--memory",
    "resources": "--resources",
    "runtime_env": "--runtime-env-json",
}


def ray_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command ``ray`` and what else is said to Ray, by the keys of ``[executor]``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def ray_table(ray: str | None, **options: Any) -> dict[str, Any]:
    """What the options say, as keys of ``[executor]``.

    Args:
        ray: ``local``, ``auto`` or an address; None where Ray is not asked for.
        options: the others, by key.

    Raises:
        UsageError: if another one is given and Ray is not asked for.
    """
    given = [_FLAGS[key] for key, value in options.items() if value is not None]
    if ray is None and given:
        raise UsageError(
            f"{given[0]} is for Ray.", remedy="Say where with --ray, or leave it out."
        )
    return {"kind": "process", **ray_changes(ray, **options)}


def ray_changes(ray: str | None, **options: Any) -> dict[str, Any]:
    """What the options change in ``[executor]`` of a study file; None for a key that is left out.

    Args:
        ray: ``local``, ``auto`` or an address; None where Ray is not asked for.
        options: the others, by key.
    """
    table = {key: value for key, value in options.items() if value is not None}
    for key in table.keys() & {"resources", "runtime_env"}:
        table[key] = _json_object(_FLAGS[key], table[key])
    if ray is not None:
        table |= {"kind": "ray", "address": None if ray == "local" else ray}
    return table


def _json_object(flag: str, text: str) -> Any:
    """What a flag says as JSON."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(
            f"{flag} {text!r} is no JSON.", remedy=f"Write such as {flag} '{{\"name\": 1}}'."
        ) from error
