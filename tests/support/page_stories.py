"""Runs the blocks of a page in order, in one folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from page_blocks import ROOT, Block, blocks_of, pages
from page_files import check_json, check_toml, entry_points, provide

RUN = ("sh", "python")
CHECKED = ("toml", "json")
# Directives of the site, and what a program says or a person only reads.
READ = ("", "text", "{eval-rst}", "{toctree}")
BLOCKS = [block for page in pages() for block in blocks_of(page)]
"""Every block of every page."""

TREES = {
    "docs": "docs/",
    "studies": "studies/",
    "tests": "tests/",
    "npu_tune": "studies/optunahub/",  # makes packages of the sources beside it
}
"""Folders that a page finds, each where its blocks hold these words."""

ONE_PROGRAM = ("docs/optuna.md",)
"""Pages whose blocks of Python are one program; each has a test module of its own in tests/docs."""

STORIES = sorted({block.page for block in BLOCKS if block.language not in READ} - {*ONE_PROGRAM})
"""The other pages that have something to run."""


def tell_story(page: str, folder: Path) -> None:
    """Runs, writes, checks or compares every block of a page.

    Raises:
        AssertionError: A block fails.
    """
    story = Story(folder, page)
    for block in BLOCKS:
        if block.page == page:
            story.tell(block)


class Story:
    """The folder in which the blocks of one page are run, with what the last of them said."""

    def __init__(self, folder: Path, page: str) -> None:
        self.folder = folder
        self.said = ""
        # An environment where the README makes one, and the tree that pages run in, as a copy:
        # some programs of the studies write beside themselves.
        (folder / ".venv").symlink_to(sys.prefix)
        for name, named in TREES.items():
            if any(named in block.text for block in BLOCKS if block.page == page):
                shutil.copytree(ROOT / name, folder / name, symlinks=True)

    def tell(self, block: Block) -> None:
        """Runs, writes, checks or compares a block."""
        for each in block.parts("with"):
            name, what = (part.strip() for part in each.split("=", 1))
            provide(self.folder, name, what)
        if block.note("output"):
            self.compare(block)
        elif block.note("not run") or block.language in READ:
            return
        elif name := block.note("file"):
            (self.folder / name).write_text(block.as_run(), encoding="utf-8")
            self.check(block)
        elif block.language in RUN:
            self.run(block)
        else:
            self.check(block)

    def run(self, block: Block) -> None:
        program = ["bash", "-eu", "-o", "pipefail", "-c"]
        if block.language == "python":
            # A file, as processes that a program starts may have to import it.
            script = self.folder / f"block{block.line}.py"
            script.write_text(block.as_run(), encoding="utf-8")
            program, text = [sys.executable], script.name
        else:
            text = block.as_run()
        done = subprocess.run(
            [*program, text],
            cwd=self.folder,
            env=environment(self.folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{text}\n{done.stdout}\n{done.stderr}"
        self.said = done.stdout

    def check(self, block: Block) -> None:
        if block.language == "json":
            check_json(block.text)
        elif block.language == "toml" and check_toml(block.text, self.folder) == "entry points":
            for where in entry_points(tomllib.loads(block.text)):
                module, _, name = where.partition(":")
                self.run(Block(block.page, block.line, "python", f"from {module} import {name}\n"))

    def compare(self, block: Block) -> None:
        """The first lines of what a page shows are what the block before it has said."""
        count = int(block.note("output").split()[0])
        assert self.said.splitlines()[:count] == block.text.splitlines()[:count], str(block)


def environment(folder: Path) -> dict[str, str]:
    """That of a shell in which the README's environment is active, with a cache in the folder."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    cache = str(folder / ".cache")
    return {**os.environ, "PATH": path, "NPU_TUNE_TRACEBACK": "1", "NPU_TUNE_CACHE": cache}
