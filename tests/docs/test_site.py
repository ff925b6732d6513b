"""The site that Sphinx makes of the pages, and the links of the pages as plain files."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from page_links import ROOT, Link, anchors_of, linked_pages, links_of

LINKS = [link for page in linked_pages() for link in links_of(page)]
INDEX = ROOT / "docs" / "index.md"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Built as CONTRIBUTING.md says, elsewhere."""
    folder = tmp_path_factory.mktemp("site")
    (line,) = re.findall(
        r"^\.venv/bin/(sphinx-build .*)$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE
    )
    words = line.partition("#")[0].split()
    assert words[-1] == "site"
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *words[1:-1], str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_begins_at_its_index(site):
    assert 'url=docs/index.html"' in (site / "index.html").read_text()
    assert (site / "docs" / "index.html").is_file()


@pytest.mark.slow
def test_nothing_on_the_site_is_fetched_from_elsewhere(site):
    fetched = r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"(https?:)?//|<link\b[^>]*\bhref=\"(https?:)?//"
    pages = [page for page in site.rglob("*.html") if re.search(fetched, page.read_text())]
    styles = [
        style
        for style in site.rglob("*.css")
        if re.search(r"url\([\"']?(https?:)?//|@import\s+[\"'](https?:)?//", style.read_text())
    ]
    assert (pages, styles) == ([], [])


@pytest.mark.slow
def test_every_command_and_every_public_name_is_on_the_site(site):
    from npu_tune import api, samplers
    from npu_tune.cli.main import commands

    reference = (site / "docs" / "command_line.html").read_text()
    assert [name for name in commands.commands if f'id="npu-tune-{name}"' not in reference] == []
    python = (site / "docs" / "api.html").read_text()
    # `npu_tune.space` is a package too, whose names are on the same page.
    names = [f"npu_tune.{name}" for name in api.__all__ if name not in {"Model", "space"}]
    names += [f"npu_tune.samplers.{name}" for name in samplers.__all__]
    assert [name for name in names if f'id="{name}"' not in python] == []


@pytest.mark.parametrize("page", linked_pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page):
    links = [link for link in LINKS if link.page == page]
    assert [str(link) for link in links if not leads_somewhere(link)] == []


def leads_somewhere(link: Link) -> bool:
    if link.is_external:
        # Whether somebody answers there is not asked: tests use no network.
        parts = urlsplit(link.target)
        return parts.scheme == "https" and "." in parts.netloc
    if not link.file.is_file() or not link.file.is_relative_to(ROOT):
        return False
    return not link.anchor or link.anchor in anchors_of(link.file)


def test_every_page_of_the_documentation_is_linked_from_its_index():
    linked = {link.file for link in LINKS if link.page == INDEX}
    pages = {*(ROOT / "docs").rglob("*.md"), *(ROOT / "studies").glob("*/README.md")}
    assert sorted(str(page.relative_to(ROOT)) for page in pages - linked - {INDEX}) == []


def test_what_is_written_in_links_is_what_they_are_checked_for(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A `heading`, twice\n\n## A `heading`, twice\n\n[one](other.md#there) and `[no](link)`\n\n"
        "```sh\n[none](here)\n```\n\n![picture](https://example.org/p.png)\n"
    )
    assert [link.target for link in links_of(page)] == [
        "other.md#there",
        "https://example.org/p.png",
    ]
    assert anchors_of(page) == {"a-heading-twice", "a-heading-twice-1"}
