"""``npu-tune targets``: what can be compiled for."""

from __future__ import annotations

import click

from npu_tune.cli.output import CommandResult, print_result


@click.command()
@print_result
def targets() -> CommandResult:
    """Lists the targets and their options."""
    from npu_tune.report.tables import table  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.targets.options import option_texts  # noqa: PLC0415
    from npu_tune.targets.registry import target_families, warn_of_shared_names  # noqa: PLC0415

    warn_of_shared_names()
    documents, texts = [], []
    for family_name, family in target_families().items():
        described = {name: family.describe(name) for name in family.names()}
        options = option_texts(family.options)
        documents.append(
            {
                "family": family_name,
                "targets": [{"name": n, "description": d} for n, d in described.items()],
                "options": options,
            }
        )
        texts += [
            table(["target", "description"], list(described.items()), left=2, wrapped=(1,)),
            table(
                [f"option of {family_name}", "takes"],
                list(options.items()),
                left=2,
                wrapped=(1,),
            ),
        ]
    return CommandResult({"families": documents}, "\n\n".join(texts))
