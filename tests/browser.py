"""Chromium for tests, driven by Playwright: found, else installed, else the tests skip with the reason.

`from tests.browser import browser  # noqa: F401` gives a module the fixture. A browser lives as long as its
module: one that outlived it would count as a stray.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_INSTALL = ("apt-get", "install", "--yes", "--no-install-recommends", "chromium", "fonts-dejavu-core")
_INSTALL_SECONDS = 300
_ARGUMENTS = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")
_OWN_SCHEMES = ("file:", "data:", "blob:", "about:")


class NoChromium(Exception):
    """There is no browser here, and none could be installed; the message says why."""


@cache
def find_chromium() -> str:
    """The path of a Chromium; where there is none it is installed once, if this is root and there is apt.

    Raises:
        NoChromium: with the reason.
    """
    if (found := _found()) is not None:
        return found
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NoChromium(f"no Chromium here (looked for {', '.join(_NAMES)}): apt-get install chromium")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (("apt-get", "update"), _INSTALL):
        try:
            subprocess.run(
                command, check=True, capture_output=True, env=environment, timeout=_INSTALL_SECONDS
            )
        except (subprocess.SubprocessError, OSError) as error:
            raise NoChromium(f"no Chromium here, and {' '.join(command)} failed: {error}") from None
    if (found := _found()) is None:
        raise NoChromium("no Chromium here, though apt-get says that it is installed")
    return found


def _found() -> str | None:
    return next((path for name in _NAMES if (path := shutil.which(name)) is not None), None)


@dataclass
class Seen:
    """A page, and what it did that a reader may not see."""

    page: Page
    errors: list[str] = field(default_factory=list)  # of the console, and exceptions that nobody caught
    requests: list[str] = field(default_factory=list)  # for anything that is not in the page itself


@contextmanager
def watched(
    browser: Browser,
    *,
    network: bool = True,
    scripts: bool = True,
    dark: bool = False,
    width: int = 1280,
    height: int = 900,
    **context: Any,
) -> Iterator[Seen]:
    """A page in a context of its own, closed in the end; `context` as `Browser.new_context` takes it."""
    opened = browser.new_context(
        offline=not network,
        java_script_enabled=scripts,
        color_scheme="dark" if dark else "light",
        viewport={"width": width, "height": height},
        **context,
    )
    try:
        yield _watch(opened)
    finally:
        opened.close()


def _watch(context: BrowserContext) -> Seen:
    seen = Seen(context.new_page())
    seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
    seen.page.on(
        "console", lambda told: seen.errors.append(told.text) if told.type in ("error", "warning") else None
    )
    context.on(
        "request",
        lambda asked: None if asked.url.startswith(_OWN_SCHEMES) else seen.requests.append(asked.url),
    )
    return seen


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium; skips where there is none."""
    try:
        path = find_chromium()
    except NoChromium as missing:
        pytest.skip(str(missing))
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        yield started
        started.close()
