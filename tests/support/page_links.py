"""Links and headings of a Markdown page, as a code-hosting site understands them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCED = re.compile(r"^( *)(`{3,}).*?^ *\2 *$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"(`+).+?\1", re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


@dataclass(frozen=True)
class Link:
    """A link of a page, as it is written there."""

    page: Path
    target: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)} -> {self.target}"

    @property
    def is_external(self) -> bool:
        """Whether it leaves the repository."""
        return "://" in self.target or self.target.startswith("mailto:")

    @property
    def file(self) -> Path:
        """What an internal link names."""
        path = self.target.partition("#")[0]
        return (self.page.parent / path).resolve() if path else self.page

    @property
    def anchor(self) -> str:
        """What follows the hash."""
        return self.target.partition("#")[2]


def linked_pages() -> list[Path]:
    """Every page that people read, in the repository or on the site."""
    return sorted(
        page
        for pattern in ("*.md", "docs/**/*.md", "studies/**/*.md")
        for page in ROOT.glob(pattern)
    )


def links_of(page: Path) -> list[Link]:
    """The links and pictures of a page, those in code left out."""
    text = _CODE.sub("code", _FENCED.sub("", page.read_text(encoding="utf-8")))
    return [Link(page, target) for target in _LINK.findall(text)]


def codes_of(page: Path) -> list[str]:
    """What stands in backticks within the sentences of a page."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    return [code[0].strip("`").strip() for code in _CODE.finditer(text)]


def anchors_of(page: Path) -> set[str]:
    """The anchors that the headings of a page get."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    seen: Counter[str] = Counter()
    anchors = set()
    for heading in _HEADING.findall(text):
        # Of a link only the words are seen.
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-")
        anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return anchors
