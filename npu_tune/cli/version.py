"""What ``npu-tune --version`` says: of npu-tune, and of what decides its figures."""

from __future__ import annotations

import click


def print_version(context: click.Context, _: click.Parameter, value: bool) -> None:
    """Prints the versions and leaves, without importing what they are of."""
    if not value or context.resilient_parsing:
        return
    from npu_tune.versions import installed_versions  # noqa: PLC0415 -- seldom asked

    own, *others = installed_versions().items()
    click.echo(" ".join(map(str, own)))
    for name, found in others:
        click.echo(f"  {name} {found or 'not installed'}")
    context.exit()
