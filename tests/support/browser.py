"""Chromium without a window, as Debian's package installs it, for pages that people look at."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, sync_playwright


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; skips the test where none is installed."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed; Debian's package is `chromium`")
    with sync_playwright() as playwright:
        # Chromium refuses its sandbox to root, whom containers run tests as.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """What went wrong on a page, and what it asked of others.

    Args:
        page: before it has gone anywhere.

    Attributes:
        errors: of scripts, and those written to the console.
        requests: addresses that are no ``data:``, ``blob:`` or ``about:``.
    """

    def __init__(self, page: Page) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._hear)
        page.on("request", lambda request: self._ask(request.url))

    def _hear(self, message: object) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def _ask(self, url: str) -> None:
        if not url.startswith(("data:", "blob:", "about:")):
            self.requests.append(url)
