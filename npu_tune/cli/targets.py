"""``npu-tune targets``: what can be compiled for."""

from __future__ import annotations

import click

from npu_tune.cli.answer import Answer, answers


@click.command()
@answers
def targets() -> Answer:
    """Lists the targets and their options."""
    from npu_tune.report.tables import table  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.targets import target_families  # noqa: PLC0415

    documents, texts = [], []
    for family_name, family in target_families().items():
        described = {name: family.describe(name) for name in family.names()}
        options = family.options()
        documents.append(
            {
                "family": family_name,
                "targets": [{"name": n, "description": d} for n, d in described.items()],
                "options": dict(options),
            }
        )
        texts += [
            table(["target", "description"], list(described.items()), left=2),
            table([f"option of {family_name}", "takes"], list(options.items()), left=2),
        ]
    return Answer({"families": documents}, "\n\n".join(texts))
