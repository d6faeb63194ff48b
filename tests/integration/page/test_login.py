"""The page of a service that asks for tokens, in a real browser."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from service.shared.tokens import Scope, new_secret
from tests.browser import watched
from tests.integration.page.conftest import Closed, revoke

pytestmark = pytest.mark.integration


def _log_in(page: Page, token: str) -> None:
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Log in").click()


def _cookies(page: Page) -> dict[str, Any]:
    return {each["name"]: each for each in page.context.cookies()}


def test_log_in_look_and_log_out(browser: Browser, closed: Closed) -> None:
    """A wrong token is refused at its field; the right one leads to where the link went. No page has it."""
    experiment = closed.lab.submit(name="of a lab")
    with watched(browser) as seen:
        page = seen.page
        page.goto(f"{closed.lab.service.url}/ui/experiments/{experiment}?from=a+link")
        expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
        expect(page.get_by_role("navigation")).to_have_count(0)
        assert "of a lab" not in page.content()
        _log_in(page, new_secret())
        expect(page.get_by_label("Token")).to_have_accessible_description(re.compile("nobody has made"))
        _log_in(page, closed.tokens[Scope.USER])
        expect(page.get_by_role("heading", level=1)).to_have_text("of a lab")
        assert page.url.endswith(f"/ui/experiments/{experiment}?from=a+link")
        kept = _cookies(page)["rebalance_token"]
        assert (kept["httpOnly"], kept["sameSite"], kept["expires"]) == (True, "Strict", -1)
        assert page.evaluate("document.cookie") == ""
        assert closed.tokens[Scope.USER] not in page.content()
        expect(page.get_by_text("a-user (user)")).to_be_visible()
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_text("Cancel was asked for at")).to_be_visible()
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
        assert "rebalance_token" not in _cookies(page)
        page.go_back()
        expect(page.get_by_role("heading", level=1)).to_have_text("Log in")


def test_a_viewer_looks_and_changes_nothing(browser: Browser, closed: Closed) -> None:
    """No buttons, no form; whoever sends one all the same is refused, and pictures and JSON are shown."""
    experiment = closed.lab.submit(name="only to look at")
    url = closed.lab.service.url
    with watched(browser) as seen:
        page = seen.page
        page.goto(url)
        _log_in(page, closed.tokens[Scope.VIEWER])
        page.get_by_role("link", name="only to look at").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("only to look at")
        expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
        expect(page.get_by_role("link", name="Submit", exact=True)).to_have_count(0)
        page.get_by_role("link", name="this experiment (JSON)").click()
        expect(page.locator("body")).to_contain_text(experiment)
        page.goto(f"{url}/ui/experiments/{experiment}/cancel")
        page.get_by_role("button", name="Yes, cancel").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Not with this token")
        expect(page.get_by_role("main")).to_contain_text("needs scope user")
    assert closed.lab.store.get(experiment).cancel_requested_at is None


def test_a_session_ends_with_its_token(browser: Browser, closed: Closed) -> None:
    """Revoked meanwhile: the page that is open says so, and the next one asks for a token."""
    experiment = closed.lab.submit(name="until it is revoked")
    with watched(browser) as seen:
        page = seen.page
        page.goto(closed.lab.service.url)
        _log_in(page, closed.tokens[Scope.ADMIN])
        page.get_by_role("link", name="until it is revoked").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("until it is revoked")
        revoke(closed, Scope.ADMIN)
        expect(page.get_by_role("alert")).to_contain_text("You are logged out")
        page.reload()
        expect(page.get_by_label("Token")).to_have_accessible_description(re.compile("been revoked"))
        page.goto(closed.lab.service.url)
        expect(page.get_by_label("Token")).to_have_accessible_description(re.compile("logged out"))
    assert closed.lab.store.get(experiment)
