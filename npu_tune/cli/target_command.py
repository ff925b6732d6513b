"""Commands with ``--target``: the flags that the named target's family declares are added to them.

Nothing here knows the words of a vendor, and no family is loaded before a target is named.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from npu_tune.errors import TargetError, UsageError

if TYPE_CHECKING:
    from npu_tune.targets.options import Flag

TARGET = "--target"
PREFIX = "target_option_"
"""Of the parameters that the flags become, so that none meets one of a command's own."""

_FLAGS = "npu_tune.target_flags"

STUDY_FLAGS: Mapping[str, str] = {
    "model.path": "MODEL",
    "model.calibration": "--calibration",
    "model.check": "--no-check",
    "target.name": "--target",
    "study.folder": "--study",
    "study.storage": "--storage",
    "study.cache": "--cache",
    "study.from": "--from",
    "study.seed": "--seed",
    "study.evaluations": "--evaluations",
    "study.wall_time": "--wall-time",
    "study.polish": "--polish",
    "sampler.name": "--sampler",
    "objective": "--objective",
    "objective.mode": "--mode",
    "objective.directions": "--maximize",
    "limits": "--limit",
    "executor.kind": "--ray",
    "executor.address": "--ray",
    "executor.workers": "--workers",
    "executor.timeout_s": "--timeout",
    "executor.start_timeout_s": "--start-timeout",
    "executor.num_cpus": "--num-cpus",
    "executor.memory": "--memory",
    "executor.resources": "--resources",
    "executor.runtime_env": "--runtime-env-json",
    "executor.memory_limit": "--memory-limit",
}
"""By key of a study file, the flag that a command line has for it."""


class TargetCommand(click.Command):
    """A command whose further flags depend on the target that its command line names.

    Args:
        renamed: by key of a study file, the flag that this command has instead of another one's.
        options: of a command.
    """

    def __init__(
        self, *args: Any, renamed: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._renamed = renamed or {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Adds the flags of the named target, then parses as ever."""
        name = _named_target(args)
        ctx.meta[_FLAGS] = [_click_option(flag) for flag in self._free(_flags_of(name))]
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            _refuse_foreign_flag(error.option_name, name)
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; messages call everything by the flags that were typed."""
        from npu_tune.validation import keys_called  # noqa: PLC0415 -- keeps --help fast

        with keys_called({**_names(ctx.params), **self._renamed}):
            return super().invoke(ctx)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own parameters, and the flags right behind ``--target``."""
        own = super().get_params(ctx)
        position = next((i for i, each in enumerate(own, 1) if TARGET in each.opts), len(own))
        return [*own[:position], *ctx.meta.get(_FLAGS, ()), *own[position:]]

    def _free(self, flags: Iterable[Flag]) -> list[Flag]:
        """Flags whose name no option of the command has; ``-O`` reaches the others."""
        taken = {name for each in self.params for name in each.opts}
        return [flag for flag in flags if flag.name not in taken]


def given_flags(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What the flags of a target were given, by option; those that were not are left out."""
    return {
        name.removeprefix(PREFIX): value
        for name, value in parameters.items()
        if name.startswith(PREFIX) and value is not None
    }


def _names(parameters: Mapping[str, Any]) -> Mapping[str, str]:
    """By key of a study file, what a command line calls it."""
    flags = {f"target.{key}": "--" + key.replace("_", "-") for key in given_flags(parameters)}
    keys = [text.partition("=")[0].strip() for text in parameters.get("assignments", ())]
    return {**STUDY_FLAGS, **flags, **{f"target.{key}": f"-O {key}" for key in keys}}


def _named_target(args: Sequence[str]) -> str | None:
    """The target that a command line names, found without parsing it; the last one counts."""
    name = None
    for position, word in enumerate(args):
        if word == "--":
            break
        if word == TARGET and position + 1 < len(args):
            name = args[position + 1]
        elif word.startswith(f"{TARGET}="):
            name = word.partition("=")[2]
    return name


def _flags_of(name: str | None) -> tuple[Flag, ...]:
    """The flags of a target; none where there is no such target, which is said later."""
    if name is None:
        return ()
    from npu_tune.targets.options import option_flags  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.targets.registry import find_family  # noqa: PLC0415

    try:
        return option_flags(find_family(name).options)
    except TargetError:
        return ()


def _click_option(flag: Flag) -> click.Option:
    words = flag.description.removeprefix("true to ") if flag.is_switch else flag.description
    text = f"{words[:1].upper()}{words[1:]}."
    declared = [PREFIX + flag.option, flag.name]
    if flag.is_switch:
        return click.Option(declared, is_flag=True, flag_value=True, default=None, help=text)
    if flag.is_text:
        return click.Option(declared, help=text)
    return click.Option(declared, callback=_toml_value, metavar="VALUE", help=text)


def toml_value(text: str) -> Any:
    """A value of TOML, or else the plain word, which needs no quotes on a command line."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()


def _toml_value(_ctx: click.Context, _param: click.Parameter, text: str | None) -> Any:
    return None if text is None else toml_value(text)


def _refuse_foreign_flag(flag: str, name: str | None) -> None:
    """Says whose flag it is where it is that of another target, or of one still to be named."""
    from npu_tune.targets.options import option_flags  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.targets.registry import find_family, target_families  # noqa: PLC0415

    families = target_families()
    owners = [
        key
        for key, family in families.items()
        if flag in {each.name for each in option_flags(family.options)}
    ]
    if not owners:
        return
    if name is None:
        raise UsageError(
            f"{flag} is an option of some targets ({', '.join(owners)}), and none is named.",
            remedy=f"Name one with {TARGET}.",
        )
    options = find_family(name).options.model_fields
    known = f"It takes {', '.join(options)}, each as -O KEY=VALUE." if options else "It has none."
    raise TargetError(f"The target {name!r} has no option {flag}.", remedy=known, option=flag)
