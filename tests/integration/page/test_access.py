"""The pages for everybody: a screen reader, the keyboard alone, a phone, no scripts, dark and light."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.browser import watched
from tests.integration.page.conftest import Closed
from tests.integration.page.lab import Lab, completed

pytestmark = pytest.mark.integration

_PHONE = 390
_TOO_WIDE = "document.documentElement.scrollWidth - window.innerWidth"


@pytest.fixture(scope="module")
def addresses(lab: Lab) -> Mapping[str, str]:
    """Every page by name, each with something on it."""
    first, second = completed(lab, ["baseline", "region rebalance"])
    prediction = lab.predict(first)
    lab.predict(second)
    evaluation = lab.evaluate(first)
    failed, running = lab.submit(name="failed"), lab.submit(name="running")
    lab.fail(failed)
    lab.start(running)
    lab.train(running, 1000)
    job = lab.sweep()
    job.complete(0)
    job.complete(1, tp=60)
    job.begin(2)
    lab.step()
    return {
        "overview": "/",
        "experiments": "/ui/experiments",
        "sweeps": "/ui/sweeps",
        "status": "/ui/status",
        "queue": "/ui/queue",
        "audit": "/ui/audit",
        "submit": "/ui/submit",
        "submit a sweep": "/ui/submit/sweep",
        "completed": f"/ui/experiments/{first}",
        "longer": f"/ui/experiments/{first}/extend",
        "failed": f"/ui/experiments/{failed}",
        "running": f"/ui/experiments/{running}",
        "log": f"/ui/experiments/{running}/log",
        "spec": f"/ui/experiments/{running}/spec",
        "cancel": f"/ui/experiments/{running}/cancel",
        "prediction": f"/ui/followups/{prediction}",
        "evaluation": f"/ui/followups/{evaluation}",
        "sweep": f"/ui/sweeps/{job.sweep}",
        "document": f"/ui/sweeps/{job.sweep}/spec",
        "compare": f"/ui/compare?id={first}&id={second}",
        "nothing to compare": "/ui/compare",
        "differences": f"/ui/diff?a={first}&b={running}",
        "nothing there": "/ui/experiments/none",
    }


def test_axe_finds_nothing_on_a_phone(browser: Browser, lab: Lab, addresses: Mapping[str, str]) -> None:
    """Names, roles, contrast, headings, tables, landmarks: axe-core has nothing to say of any page. Only
    tables scroll sideways, by themselves; the policy refuses nothing, and no other host is asked.
    """
    with watched(browser, width=_PHONE, height=844) as seen:
        for name, path in addresses.items():
            seen.page.goto(f"{lab.service.url}{path}")
            assert seen.page.evaluate(_TOO_WIDE) <= 0, name
            found = Axe().run(seen.page)
            assert found.violations_count == 0, f"{name}: {found.generate_report()}"
        assert not [each for each in seen.errors if "404" not in each]
        assert all(each.startswith(lab.service.url) for each in seen.requests)


def test_the_dark_is_as_legible(browser: Browser, lab: Lab, addresses: Mapping[str, str]) -> None:
    """It differs in its colours alone; these pages have them all."""
    with watched(browser, dark=True) as seen:
        for name in ("overview", "failed", "running", "sweep", "submit"):
            seen.page.goto(f"{lab.service.url}{addresses[name]}")
            found = Axe().run(seen.page, options={"runOnly": ["cat.color"]})
            assert found.violations_count == 0, f"{name}: {found.generate_report()}"


def test_axe_finds_nothing_in_forms_with_mistakes(browser: Browser, lab: Lab, closed: Closed) -> None:
    """The log-in after a wrong token, and the form with a mistake in it, as well."""
    with watched(browser) as seen:
        page = seen.page
        page.goto(closed.lab.service.url)
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        assert Axe().run(page).violations_count == 0
        page.goto(f"{lab.service.url}/ui/submit?dataset=digit_scenes&model=small&method=baseline&seed=x")
        page.get_by_role("button", name="Submit", exact=True).click()
        expect(page.get_by_role("alert").get_by_role("heading")).to_have_text("Nothing was stored")
        expect(page.get_by_role("alert")).to_be_focused()
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


def test_every_page_is_read_without_scripts(browser: Browser, lab: Lab, addresses: Mapping[str, str]) -> None:
    """Headings, curves, tables and logs are there at once, on a phone too."""
    with watched(browser, scripts=False, width=_PHONE, height=844) as seen:
        for name, path in addresses.items():
            seen.page.goto(f"{lab.service.url}{path}")
            assert seen.page.evaluate(_TOO_WIDE) <= 0, name
            expect(seen.page.get_by_role("heading", level=1)).to_be_visible()
        seen.page.goto(f"{lab.service.url}{addresses['running']}")
        expect(seen.page.locator(".drawn svg")).to_have_count(2)
        expect(seen.page.locator("#log")).to_contain_text("iteration 1000")


def test_the_keyboard_alone(browser: Browser, lab: Lab) -> None:
    """From the skip link through the form to a confirmed cancel, without a mouse; what has focus is seen."""
    with watched(browser) as seen:
        page, press = seen.page, seen.page.keyboard.press
        page.goto(f"{lab.service.url}/ui/submit")
        press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        press("Enter")
        press("Tab")
        expect(page.get_by_label("Name", exact=True)).to_be_focused()
        page.keyboard.type("by keyboard")
        for typed in ("", "digit", "", "small", "baseline"):  # recipe, data set, root, model, method
            press("Tab")
            page.keyboard.type(typed)
        press("Tab")
        press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("by keyboard")
        page.on("dialog", lambda dialog: dialog.accept())
        for _ in range(12):
            press("Tab")
            if page.evaluate("document.activeElement.textContent.trim()") == "Cancel":
                break
        expect(page.get_by_role("button", name="Cancel")).to_be_focused()
        press("Enter")
        expect(page.get_by_text("Cancel was asked for at")).to_be_visible()


def test_focus_stays_where_it_was(browser: Browser, lab: Lab) -> None:
    """A table that is put anew under the reader's hands leaves the focus on the same link."""
    with watched(browser) as seen:
        page = seen.page
        experiment = lab.submit(name="focused")
        page.goto(lab.service.url)
        page.get_by_role("link", name="focused").focus()
        lab.submit(name="a newer one")
        expect(page.get_by_role("link", name="a newer one")).to_be_visible()
        expect(page.locator(f"#e-{experiment}")).to_be_focused()
        assert not seen.errors
