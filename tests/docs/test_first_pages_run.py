"""The README and the pages to begin with, run as a reader runs them; see test_pages_run."""

from __future__ import annotations

import pytest
from page_stories import STORIES, tell_story

PAGES = [page for page in STORIES if page == "README.md" or page.startswith("docs/start/")]


@pytest.mark.slow
@pytest.mark.timeout(1800)  # some pages run thirty programs
@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_first_page_run_one_after_another(page, tmp_path):
    tell_story(page, tmp_path)
