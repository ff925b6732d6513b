"""The blocks of code on a page, with what the comments before them say; see CONTRIBUTING.md.

A page is a story: its blocks are run in order, in one folder.
"""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from npu_tune.cli.main import commands

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^( *)(`{3,})(\S*)\s*$")
COMMENT = re.compile(r"^ *<!-- (run with|not run|with|file|output): (.+?) -->$")
# CI itself makes an environment with these, by the README's own line; see .ci/run.
SET_UP = re.compile(r"python3 -m venv .*|(\S*/)?pip install .*")


@dataclass(frozen=True)
class Block:
    """A block of code.

    Args:
        page: path from the repository's root.
        line: of the block's first line, from 1.
        language: what stands behind the opening fence.
        text: without the indentation of the fence.
        notes: what the comments before it say, in order.
    """

    page: str
    line: int
    language: str
    text: str
    notes: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    def note(self, kind: str) -> str | None:
        """What the comment of a kind says, or None."""
        return dict(self.notes).get(kind)

    def parts(self, kind: str) -> list[str]:
        """The same, separated at semicolons."""
        return [part.strip() for part in (self.note(kind) or "").split(";") if part.strip()]

    def as_run(self) -> str:
        """The text with what ``run with`` and the set-up of CI change about it.

        Raises:
            ValueError: A comment changes nothing.
        """
        text = self.text
        for change in self.parts("run with"):
            changed = _changed(text, change)
            if changed == text:
                raise ValueError(f"{self}: `{change}` changes nothing")
            text = changed
        return _without_set_up(text) if self.language == "sh" else text


def pages() -> list[Path]:
    """Every page whose blocks are run."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page in order."""
    name = str(page.relative_to(ROOT))
    return list(_blocks(name, page.read_text(encoding="utf-8").splitlines()))


def _blocks(name: str, lines: list[str]) -> Iterator[Block]:
    notes: list[tuple[str, str]] = []
    numbered = iter(enumerate(lines, start=1))
    for number, line in numbered:
        if comment := COMMENT.match(line):
            notes.append((comment[1], comment[2]))
        elif fence := FENCE.match(line):
            body = []
            for _, inside in numbered:
                if inside.strip() == fence[2]:
                    break
                body.append(inside)
            text = textwrap.dedent("\n".join(body)) + "\n"
            yield Block(name, number + 1, fence[3], text, tuple(notes))
            notes = []
        elif line.strip() and not line.lstrip().startswith("<!--"):
            notes = []


def _changed(text: str, change: str) -> str:
    if change.startswith("--"):
        return _each_command(text, lambda part: _with_option(part, change))
    new, _, old = change.partition(" for ")
    return text.replace(old, new)


def _each_command(text: str, change) -> str:
    return "\n".join(
        " && ".join(change(part) for part in line.split(" && ")) for line in text.split("\n")
    )


def _with_option(part: str, option: str) -> str:
    """Of an option that is given twice, click takes the second."""
    command = command_of(part)
    takes = command is not None and any(
        option.split(maxsplit=1)[0] in parameter.opts for parameter in command.params
    )
    return f"{part} {option}" if takes else part


def command_of(line: str) -> click.Command | None:
    """The command of ours that a line calls, or None."""
    words = line.split()
    if len(words) < 2 or words[0].removeprefix(".venv/bin/") != "npu-tune":
        return None
    return commands.commands.get(words[1])


def _without_set_up(text: str) -> str:
    return "\n".join(
        " && ".join(part for part in line.split(" && ") if not SET_UP.fullmatch(part.strip()))
        for line in text.split("\n")
    )


def command_calls(text: str) -> Iterator[list[str]]:
    """The words of every call of npu-tune in a block of shell."""
    joined = text.replace("\\\n", " ")
    for line in joined.splitlines():
        for part in line.split("&&"):
            words = shlex.split(part, comments=True)
            if words and words[0].removeprefix(".venv/bin/") == "npu-tune":
                yield words
