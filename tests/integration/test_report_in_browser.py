"""A report in a real browser, its network off: with scripts and without, light and dark, and steered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.browser import Seen, browser, watched  # noqa: F401 - a fixture
from tests.unit.trainer.figures.studies import from_directories
from trainer.figures.document.page import report_html

HOSTILE = ["</script><script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "日本 λ' &amp; {{7*7}}"]
SECTIONS = "section.figure"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with hostile class names."""
    directory = tmp_path_factory.mktemp("report")
    study = from_directories(directory / "storage", names=HOSTILE)
    path = directory / "report.html"
    path.write_text(report_html(study), encoding="utf-8")
    return path


@pytest.fixture
def live(browser: Browser, page_file: Path) -> Iterator[Seen]:  # noqa: F811
    """The report with every figure drawn by Vega."""
    with watched(browser, network=False) as seen:
        seen.page.goto(page_file.as_uri())
        enliven(seen.page)
        yield seen


def enliven(page: Page) -> None:
    """Scrolls every figure into view, and waits until it is live."""
    for section in page.query_selector_all(SECTIONS):
        section.scroll_into_view_if_needed()
        page.wait_for_selector(f"#{section.get_attribute('id')} .files:not([hidden])", state="attached")


def quiet(seen: Seen) -> None:
    assert seen.errors == []
    assert seen.requests == []


def test_live_it_asks_nobody_and_complains_of_nothing(live: Seen) -> None:
    """No request, no error, nothing refused by its own policy; every figure became live."""
    quiet(live)
    assert live.page.locator(f"{SECTIONS} .drawing.live svg").count() == live.page.locator(SECTIONS).count()


def test_hostile_names_are_letters(live: Seen) -> None:
    """They stand in tables, axes and lists as they are."""
    assert HOSTILE[2] in live.page.inner_text("#table2")
    texts = live.page.locator("#figure4 svg text").all_text_contents()
    assert any("<script>" in text for text in texts)
    assert live.page.locator("img").count() == 0
    quiet(live)


def test_a_reader_steers(live: Seen) -> None:
    """Another reference turns the differences around; a group, a name and an order choose the bars."""
    page, before = live.page, bars(live.page)
    assert len(before) == 6, "two measures of three classes"
    controls = page.locator("#figure3 .controls")
    controls.locator("select").nth(0).select_option("region_rebalance")
    turned = bars(page)
    assert len(turned) == 6
    assert turned != before
    assert "baseline" in page.inner_text("#figure3 .drawing")
    controls.locator("select").nth(2).select_option("tail")
    assert len(bars(page)) == 2
    controls.locator("select").nth(2).select_option("all")
    controls.locator("input").fill("日本")
    page.wait_for_function(
        "document.querySelectorAll('#figure3 .drawing svg .mark-rect.role-mark path').length < 8"
    )
    assert len(bars(page)) == 2
    quiet(live)


def test_a_class_is_told_under_the_pointer(live: Seen) -> None:
    """Its name as text, its scores with two decimals."""
    page = live.page
    page.locator("#figure4 svg .mark-symbol.role-mark path").first.hover()
    page.wait_for_selector(".tip:not([hidden])")
    told = page.inner_text(".tip")
    assert "<script>" in told
    assert "80.00" in told
    quiet(live)


def test_files_are_made_in_the_page(live: Seen) -> None:
    """CSV with the class names quoted, SVG and PNG, without a request."""
    page, contents = live.page, {}
    for label in ("CSV", "SVG", "PNG"):
        with page.expect_download() as started:
            page.locator("#figure3 .files button", has_text=label).click()
        contents[label] = Path(started.value.path()).read_bytes()
        assert started.value.suggested_filename == f"figure3.{label.lower()}"
    lines = contents["CSV"].decode().splitlines()
    assert lines[0].startswith("setting,reference,class,id")
    assert '"""><img src=x onerror=alert(2)>"' in contents["CSV"].decode()
    assert b"<svg" in contents["SVG"]
    assert contents["PNG"].startswith(b"\x89PNG")
    assert live.errors == []


def test_without_scripts(browser: Browser, page_file: Path) -> None:  # noqa: F811
    """Every figure and table is there; what only scripts can do is not offered."""
    with watched(browser, network=False, scripts=False) as seen:
        seen.page.goto(page_file.as_uri())
        assert seen.page.locator(f"{SECTIONS} .drawn > svg").count() == seen.page.locator(SECTIONS).count()
        assert seen.page.locator("table").count() == 3
        assert seen.page.locator(".controls:visible").count() == 0
        assert seen.page.locator(".files:visible").count() == 0
        quiet(seen)


def test_light_dark_and_print(browser: Browser, page_file: Path) -> None:  # noqa: F811
    """Ink and paper change places in the dark, in figures as well; print is dark on white."""
    ink = "getComputedStyle(document.querySelector('#seeds svg text')).fill"
    inks = []
    for dark in (False, True):
        with watched(browser, network=False, dark=dark) as seen:
            seen.page.goto(page_file.as_uri())
            inks.append(seen.page.evaluate(ink))
            seen.page.emulate_media(media="print", color_scheme="dark" if dark else "light")
            assert seen.page.evaluate(ink) == "rgb(0, 0, 0)"
            assert seen.page.locator("nav").is_hidden()
    assert inks == ["rgb(26, 26, 26)", "rgb(232, 232, 232)"]


@pytest.mark.parametrize("dark", [False, True])
def test_a_screen_reader_finds_its_way(browser: Browser, page_file: Path, dark: bool) -> None:  # noqa: F811
    """axe-core has nothing serious to say of it, with every figure live, in light and dark."""
    with watched(browser, network=False, dark=dark, bypass_csp=True) as seen:  # axe is put into the page
        seen.page.goto(page_file.as_uri())
        enliven(seen.page)
        found = Axe().run(seen.page).response["violations"]
        assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []


def test_on_a_phone(browser: Browser, page_file: Path) -> None:  # noqa: F811
    """The page is as wide as the screen; what is wider scrolls within itself."""
    with watched(browser, network=False, width=390) as seen:
        seen.page.goto(page_file.as_uri())
        enliven(seen.page)
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= 390
        quiet(seen)


def bars(page: Page) -> list[str | None]:
    """Shapes of the differences' bars in Figures 3 and 6, without the shading."""
    shapes = page.locator("#figure3 .drawing svg .mark-rect.role-mark path").all()
    return [shape.get_attribute("d") for shape in shapes if shape.get_attribute("opacity") != "0.13"]
