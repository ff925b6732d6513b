"""Every block of README.md and docs/ is run as a reader runs it, page by page.

What may stand in comments before a block is described in CONTRIBUTING.md. The README and docs/start
are in test_first_pages_run, so that two processes can share the work.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from page_blocks import blocks_of, pages
from page_stories import BLOCKS, CHECKED, READ, RUN, STORIES, tell_story

PAGES = [page for page in STORIES if page != "README.md" and not page.startswith("docs/start/")]


@pytest.mark.slow
@pytest.mark.timeout(1800)  # some pages run thirty programs
@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_run_one_after_another(page, tmp_path):
    tell_story(page, tmp_path)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_has_a_language_that_is_known(block):
    assert block.language in (*RUN, *CHECKED, *READ)


def test_what_is_not_run_says_why():
    reasons = {str(block): block.note("not run") for block in BLOCKS}
    assert [where for where, why in reasons.items() if why and len(why.split()) < 4] == []


def test_a_file_that_a_page_has_written_is_used_by_it():
    unused = [
        str(block)
        for block in BLOCKS
        if (name := block.note("file"))
        and not any(
            Path(name).stem in later.text and later.language in (*RUN, "toml")
            for later in BLOCKS
            if later.page == block.page and later.line > block.line
        )
    ]
    assert unused == []


def test_every_comment_about_a_block_is_understood_and_changes_something():
    for page in pages():
        comments = re.findall(r"^ *<!-- ([a-z ]+): .+ -->$", page.read_text(), re.MULTILINE)
        assert set(comments) <= {"run with", "not run", "with", "file", "output"}, page
        noted = sum(len(block.notes) for block in blocks_of(page))
        assert noted == len(comments), f"{page}: a comment stands before no block"
    for block in BLOCKS:
        block.as_run()
