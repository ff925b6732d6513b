"""``npu-tune completion``: what makes a shell complete commands, options and names."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem, get_completion_class

from npu_tune.cli.output import CommandResult, print_result
from npu_tune.cli.words import metric_names, network_names

PROGRAM = "npu-tune"
VARIABLE = "_NPU_TUNE_COMPLETE"
"""What a shell sets in the environment when it asks: click's own protocol."""

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


@click.command(short_help="Prints what makes a shell complete words.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@print_result
def completion(shell: str) -> CommandResult:
    """Prints a script for SHELL, which then completes commands, options, targets, networks.

    Put `eval "$(npu-tune completion bash)"` into ~/.bashrc, the same with zsh into ~/.zshrc, or
    `npu-tune completion fish | source` into ~/.config/fish/config.fish.
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"Nothing is known of the shell {shell!r}.")
    root = click.get_current_context().find_root().command
    script = kind(root, {}, PROGRAM, VARIABLE).source().rstrip()
    return CommandResult({"shell": shell, "script": script}, script)


def complete_from(names: Iterable[str]) -> Complete:
    """Completes a word by names."""
    listed = tuple(names)

    def complete(
        _: click.Context, _parameter: click.Parameter, begun: str
    ) -> list[CompletionItem]:
        return [CompletionItem(name) for name in listed if name.startswith(begun)]

    return complete


def complete_model(
    _: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Completes a built-in network, or has the shell look for a file where none is begun."""
    found = [CompletionItem(name) for name in network_names() if name.startswith(begun)]
    return found if begun and found else [*found, CompletionItem(begun, type="file")]


def complete_folder(
    _: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Has the shell look for a folder, such as that of a study."""
    return [CompletionItem(begun, type="dir")]


def complete_metrics(
    context: click.Context, _: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Completes the last of several metrics with commas, those of the target that is named."""
    before, comma, last = begun.rpartition(",")
    names = metric_names(context.params.get("target"))
    return [CompletionItem(before + comma + name) for name in names if name.startswith(last)]


def complete_pick(
    _: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Completes what an export picks, but for the number of a trial."""
    names = ("best", "knee", *metric_names(None))
    return [CompletionItem(name) for name in names if name.startswith(begun)]
