"""What people do on the page, in a real browser: submit, watch, cancel, try again, compare."""

from __future__ import annotations

import re
from html import unescape

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from service.shared.states import State
from tests.browser import watched
from tests.integration.page.lab import HOSTILE, Lab, completed
from trainer.spec.recipes import recipes

pytestmark = pytest.mark.integration


def _submit(page: Page, lab: Lab, **fields: str) -> None:
    page.goto(f"{lab.service.url}/ui/submit")
    for label, value in fields.items():
        field = page.get_by_label(label, exact=True)
        field.select_option(value) if label in ("Method", "Recipe") else field.fill(value)
    page.get_by_role("button", name="Submit", exact=True).click()


def test_a_mistake_is_shown_at_its_field_and_mended_there(browser: Browser, lab: Lab) -> None:
    """From a recipe: what was filled in stays, a wrong field says what is allowed; right, it is stored."""
    name = next(iter(recipes()))
    with watched(browser) as seen:
        page = seen.page
        page.goto(lab.service.url)
        page.get_by_role("link", name="Submit", exact=True).click()
        page.get_by_label("Name", exact=True).fill("of a recipe")
        page.get_by_label("Recipe").select_option(name)
        page.get_by_label("Data set").select_option("digit_scenes")
        page.get_by_label("Model").fill("small")
        page.get_by_label("Method").select_option("region_rebalance")
        page.get_by_label("λ of region rebalance").fill("-1")
        page.get_by_label("Iterations").fill("many")
        page.get_by_text("More, as JSON").click()
        page.get_by_label("Everything else, as JSON").fill(
            '{"schedule": {"batch_size": 4, "crop_size": [64, 64]},'
        )
        page.get_by_role("button", name="Submit", exact=True).click()

        expect(page.get_by_role("alert").get_by_role("heading")).to_have_text("Nothing was stored")
        document = page.get_by_label("Everything else, as JSON")
        expect(document).to_have_accessible_description(re.compile("not JSON"))
        small = '"schedule": {"batch_size": 4, "crop_size": [64, 64]}, "weights": "none"'
        document.fill(f'{{{small}, "resources": {{"gpus_per_worker": 0}}}}')
        page.get_by_role("button", name="Submit", exact=True).click()

        expect(page.get_by_label("Iterations")).to_have_accessible_description(
            re.compile('"many" is a string')
        )
        expect(page.get_by_label("Iterations")).to_have_attribute("aria-invalid", "true")
        expect(page.get_by_label("λ of region")).to_have_accessible_description(re.compile("allowed: .*0"))
        page.get_by_role("alert").get_by_role("link", name="Iterations").click()
        page.get_by_label("Iterations").fill("100")
        page.get_by_label("λ of region rebalance").fill("0.3")
        page.get_by_role("button", name="Submit", exact=True).click()

        expect(page).to_have_url(re.compile("/ui/experiments/[0-9a-f]{12}$"))
        expect(page.get_by_role("heading", level=1)).to_have_text("of a recipe")
        stored = lab.store.get(page.url.rpartition("/")[2])
        assert (stored.name, stored.method, stored.dataset) == (
            "of a recipe",
            "region_rebalance",
            "digit_scenes",
        )
        page.get_by_role("link", name="spec", exact=True).click()
        expect(page.get_by_text("Changed from its recipe")).to_be_visible()
        expect(page.get_by_role("main")).to_contain_text("/schedule/iterations")


def test_only_checking_stores_nothing(browser: Browser, lab: Lab) -> None:
    """What it would be is shown, and the form stays as it was."""
    before = len(lab.http.get("/experiments", params={"limit": 200}).json()["items"])
    with watched(browser) as seen:
        page = seen.page
        page.goto(f"{lab.service.url}/ui/submit?dataset=digit_scenes&model=small&method=baseline")
        page.get_by_role("button", name="Only check").click()
        expect(page.get_by_role("heading", name="What it would be")).to_be_visible()
        expect(page.get_by_label("Model")).to_have_value("small")
        assert not seen.errors
    assert len(lab.http.get("/experiments", params={"limit": 200}).json()["items"]) == before


def test_a_training_is_watched_to_its_end(browser: Browser, lab: Lab) -> None:
    """State, progress, time left, curves and log follow without a reload; what was opened stays open."""
    experiment = lab.submit(name="watched")
    with watched(browser) as seen:
        page = seen.page
        page.goto(f"{lab.service.url}/ui/experiments/{experiment}")
        expect(page.locator(".facts")).to_contain_text(re.compile("queued|submitted"))
        lab.start(experiment)
        lab.train(experiment, 600)
        assert f"{lab.service.url}/experiments/{experiment}/events/stream" in seen.requests
        expect(page.get_by_role("status")).to_have_text("State: running")
        expect(page.locator(".facts")).to_contain_text("600 / 2,000")
        expect(page.locator(".facts")).to_contain_text("about")
        expect(page.get_by_role("img", name=re.compile("^loss by iteration.* at 600$"))).to_be_visible()
        expect(page.get_by_role("link", name="Ray job")).to_have_attribute(
            "href", f"http://127.0.0.1:1/#/jobs/{experiment}-1"
        )
        page.get_by_text(re.compile("^Events")).click()
        lab.train(experiment, 1000)
        expect(page.locator("#log")).to_contain_text("iteration 1000")
        expect(page.get_by_role("table")).to_be_visible()
        lab.complete(experiment)
        expect(page.get_by_role("status")).to_have_text("State: completed")
        expect(page.locator(".facts")).to_contain_text("mIoU")
        expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
        expect(page.locator(".live")).not_to_have_attribute("hx-get", re.compile("."))
        assert not seen.errors


def test_the_log_is_followed(browser: Browser, lab: Lab) -> None:
    """Its end is shown, and stays at the end while it grows."""
    experiment = lab.submit(name="with a log")
    lab.start(experiment)
    lab.train(experiment, 400)
    with watched(browser) as seen:
        page = seen.page
        page.goto(f"{lab.service.url}/ui/experiments/{experiment}/log")
        expect(page.locator("#log")).to_contain_text("iteration 400")
        lab.train(experiment, 2000)
        expect(page.locator("#log")).to_contain_text("iteration 2000")
        page.wait_for_function(
            "() => { const log = document.querySelector('#log');"
            " return log.scrollHeight - log.scrollTop - log.clientHeight < 8; }"
        )
        assert not seen.errors


@pytest.mark.parametrize("scripts", [True, False])
def test_cancel_asks_first_and_retry_comes_back(browser: Browser, lab: Lab, scripts: bool) -> None:
    """With scripts in a dialog, without on a page of its own; whoever says no has changed nothing."""
    experiment = lab.submit(name="to be cancelled")
    lab.start(experiment)
    with watched(browser, scripts=scripts) as seen:
        page, asked = seen.page, []
        page.goto(f"{lab.service.url}/ui/experiments/{experiment}")
        answers = iter([False, True, True])
        page.on(
            "dialog",
            lambda dialog: (
                asked.append(dialog.message),
                dialog.accept() if next(answers) else dialog.dismiss(),
            ),
        )
        page.get_by_role("button", name="Cancel").click()
        if not scripts:
            expect(page.get_by_role("heading", level=1)).to_have_text("Cancel to be cancelled?")
            page.get_by_role("link", name="No, back").click()
        assert lab.store.get(experiment).cancel_requested_at is None
        page.get_by_role("button", name="Cancel").click()
        if not scripts:
            page.get_by_role("button", name="Yes, cancel").click()
        expect(page.get_by_text("Cancel was asked for at")).to_be_visible()
        lab.ended(experiment)
        if not scripts:
            page.reload()
        page.get_by_role("button", name="Retry").click()
        if not scripts:
            page.get_by_role("button", name="Yes, retry").click()
        expect(page.locator(".facts")).to_contain_text("Attempt")
        assert lab.store.get(experiment).attempt == 2
        assert len(asked) == (3 if scripts else 0)
        assert not seen.errors


def test_too_late_is_told_on_the_page(browser: Browser, lab: Lab) -> None:
    """A button that came too late says so, in the words of the API: 409."""
    experiment = lab.submit(name="ends meanwhile")
    lab.start(experiment)
    with watched(browser) as seen:
        page = seen.page
        page.goto(f"{lab.service.url}/ui/experiments/{experiment}/cancel")
        lab.complete(experiment)
        page.get_by_role("button", name="Yes, cancel").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Too late")
        expect(page.get_by_role("main")).to_contain_text("has ended already")


def test_a_sweep_is_followed_paused_and_cancelled(browser: Browser, lab: Lab) -> None:
    """Its table is the API's, cell by cell; trials and counts follow; pause, resume and cancel ask first."""
    job = lab.sweep()
    with watched(browser) as seen:
        page = seen.page
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(f"{lab.service.url}/ui/sweeps/{job.sweep}")
        job.complete(0, tp=50)
        job.complete(1, tp=57)
        job.begin(2, iteration=400)
        lab.step()
        expect(page.locator(".facts")).to_contain_text("2 of 4 completed, 1 running, 1 waiting")
        rows = page.locator("#scores-1 tbody tr")
        expect(rows).to_have_count(2)
        told = lab.http.get(f"/sweeps/{job.sweep}/table").json()["blocks"][0]["rows"]
        for place, row in enumerate(told):
            shown = rows.nth(place).locator("th, td").all_inner_texts()
            assert shown[:2] == [row["row"], f"{row['scores']['mIoU']['mean']:.2f}"]
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("status")).to_have_text("State: paused")
        page.get_by_role("button", name="Resume").click()
        expect(page.get_by_role("status")).to_have_text("State: running")
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_text("Cancel was asked for at")).to_be_visible()
        page.get_by_role("link", name="its experiments").click()
        expect(page.locator("#experiments tbody tr")).to_have_count(4)
        assert not seen.errors


def test_a_sweep_is_asked_for_by_a_form(browser: Browser, lab: Lab) -> None:
    """On a phone: a value that is refused is told at its line; the trials are listed, and then stored."""
    with watched(browser, width=390, height=844) as seen:
        page = seen.page
        page.goto(f"{lab.service.url}/ui/sweeps")
        page.get_by_role("link", name="Submit a sweep").click()
        page.get_by_label("Name", exact=True).fill("by a form")
        page.get_by_label("Data set").select_option("digit_scenes")
        page.get_by_label("Model").fill("small")
        page.get_by_label("Method").select_option("region_rebalance")
        page.get_by_label("Seeds").fill("0, 1")
        page.get_by_label("Field 2", exact=True).fill("/method/lambda")
        values = page.get_by_label("Values of field 2")
        values.fill("0, -1")
        page.get_by_role("button", name="Only list its trials").click()
        expect(page.get_by_role("alert").get_by_role("heading")).to_have_text("Nothing was stored")
        expect(values).to_have_accessible_description(re.compile("-1 is below the minimum"))
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        values.fill("0, 0.3, 0.5")
        page.get_by_role("button", name="Only list its trials").click()
        expect(page.locator("#trials tbody tr")).to_have_count(6)
        expect(page.get_by_role("region", name="Trials it would have")).to_contain_text("lambda=0.3")
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
        page.get_by_role("button", name="Submit", exact=True).click()
        expect(page).to_have_url(re.compile("/ui/sweeps/swp-[0-9a-f]{10}$"))
        expect(page.get_by_role("heading", level=1)).to_have_text("by a form")
        sweep = page.url.rpartition("/")[2]
        assert [row.trial for row in lab.store.trials(sweep)] == [0, 1, 2, 3, 4, 5]
        page.get_by_role("link", name="Submit one like it").click()
        expect(page.get_by_label("Everything else, as JSON")).to_have_value(re.compile("/method/lambda"))


def test_experiments_are_chosen_and_compared(browser: Browser, lab: Lab) -> None:
    """Scores as GET /comparisons has them, the same picture side by side, and what differs in the specs."""
    first, second = completed(lab, ["the one", "the other"], tags={"for": "comparison"})
    for each in (first, second):
        lab.predict(each)
    with watched(browser) as seen:
        page = seen.page
        page.goto(f"{lab.service.url}/ui/experiments")
        page.get_by_label("Tag").fill("for:comparison")
        page.get_by_role("button", name="Narrow").click()
        expect(page.locator("#experiments tbody tr")).to_have_count(2)
        for name in ("the one", "the other"):
            page.get_by_role("checkbox", name=re.compile(f"Choose {name},")).check()
        page.get_by_role("button", name="Compare those chosen").click()
        told = lab.http.get("/comparisons", params={"ids": f"{second},{first}"}).json()["rows"]
        expect(page.locator("#scores tbody tr").nth(1)).to_contain_text(f"{told[1]['delta_mIoU']:+.2f}")
        pictures = page.locator(".side img")
        expect(pictures).to_have_count(2)
        assert all(
            pictures.nth(n).evaluate("it => it.decode().then(() => it.naturalWidth > 1)") for n in (0, 1)
        )
        page.get_by_role("link", name="spec against the one").click()
        expect(page.get_by_role("rowheader")).to_have_text(["/name", "/seed"])
        assert not seen.errors


@pytest.mark.parametrize("scripts", [True, False])
def test_hostile_names_are_only_text(browser: Browser, lab: Lab, scripts: bool) -> None:
    """Markup in a name is shown on every page that has it, and nothing of it runs; long ones widen none."""
    experiment = lab.submit(name=HOSTILE[:200], tags={"a": HOSTILE})
    lab.submit(name="x" * 200)
    lab.fail(experiment)
    job = lab.sweep(name='<b>sweep</b> & "co"')
    shown = {
        "/": HOSTILE[:200],
        "/ui/experiments": HOSTILE[:200],
        f"/ui/experiments/{experiment}": HOSTILE[:200],
        f"/ui/experiments/{experiment}/spec": HOSTILE[:200],
        f"/ui/experiments/{experiment}/log": HOSTILE[:200],
        f"/ui/experiments/{experiment}/retry": HOSTILE[:200],
        f"/ui/submit?like={experiment}": "document.title",
        "/ui/submit?name=%22%3E%3Cscript%3E": "",
        f"/ui/sweeps/{job.sweep}": "<b>sweep</b>",
        "/ui/experiments/<img src=x>": "there is no experiment '<img src=x>'",
    }
    with watched(browser, scripts=scripts, width=390) as seen:
        for path, text in shown.items():
            seen.page.goto(f"{lab.service.url}{path}")
            assert text in unescape(seen.page.content()), path
            assert seen.page.title() != "taken"
            assert seen.page.locator("main script, main img[src='x']").count() == 0
            wide = "document.documentElement.scrollWidth - window.innerWidth"
            assert seen.page.evaluate(wide) <= 0, path
        assert not [each for each in seen.errors if "404" not in each]


def test_a_service_that_goes_away_is_told(browser: Browser, lab: Lab) -> None:
    """What is shown stays, with since when; and the page goes on by itself once it answers again."""
    experiment = lab.submit(name="service away")
    with watched(browser) as seen:
        page = seen.page
        page.goto(f"{lab.service.url}/ui/experiments/{experiment}")
        page.context.set_offline(True)
        expect(page.get_by_role("alert")).to_contain_text("The service does not answer")
        expect(page.get_by_role("heading", level=1)).to_have_text("service away")
        page.context.set_offline(False)
        expect(page.get_by_role("alert")).to_have_count(0)
    assert lab.store.get(experiment).state is not State.FAILED
