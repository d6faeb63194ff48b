"""Pictures of MLflow's interface for the docs: how a sweep's trials look there, with what we set in advance.

`.venv/bin/python scripts/mlflow_screenshots.py URL SWEEP DIRECTORY`, of a sweep that an MLflow server at URL
has; needs Debian's chromium.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Page, sync_playwright

_SIZE = {"width": 1500, "height": 900}
_LIMIT = 120_000  # milliseconds
_TABLES = "compareRunsMode=ARTIFACT&workflowType=machine_learning"
_COLOURS = 96


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("sweep")
    parser.add_argument("directory", type=Path)
    options = parser.parse_args()
    group = _experiment_of(options.url, options.sweep)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport=_SIZE)
        page.set_default_timeout(_LIMIT)
        _take(page, options.url, group, options.sweep, options.directory)
        browser.close()


def _experiment_of(url: str, sweep: str) -> str:
    from mlflow import MlflowClient

    client = MlflowClient(url)
    groups = [group.experiment_id for group in client.search_experiments()]
    runs = client.search_runs(groups, f"tags.`rebalance.sweep` = '{sweep}'", max_results=1)
    return str(runs[0].info.experiment_id)


def _take(page: Page, url: str, group: str, sweep: str, out: Path) -> None:
    runs = f"{url}/#/experiments/{group}/runs?workflowType=machine_learning"
    view = f"viewStateShareKey=rebalance-{sweep}"
    page.goto(f"{runs}&{view}&compareRunsMode=CHART")
    page.get_by_text("delta_mIoU").first.wait_for()
    _quiet(page)
    page.locator(".barlayer .point").first.wait_for()
    _keep(page, out / "mlflow_compare.png")
    for title in ("Its trials compared", "train", "eval"):
        _fold(page, title)
    page.get_by_text("overlays (").first.scroll_into_view_if_needed()
    page.locator("img[src*='overlays']").first.wait_for()
    page.wait_for_load_state("load")
    _keep(page, out / "mlflow_overlays.png")
    chosen = quote(f"tags.`rebalance.sweep` = '{sweep}' AND tags.`rebalance.row` LIKE '%'")
    page.goto("about:blank")
    page.goto(f"{runs}&{_TABLES.partition('&')[0]}&searchFilter={chosen}&orderByKey=metrics.`mIoU`")
    _keep(page, out / "mlflow_table.png")


def _quiet(page: Page) -> None:
    """Closes what the interface says of itself."""
    for name in ("Close assistant", "Close"):
        for each in page.get_by_label(name, exact=True).all():
            each.click()


def _fold(page: Page, title: str) -> None:
    head: Any = page.get_by_text(f"{title} (").first
    if head.count():
        head.click()


def _keep(page: Page, path: Path) -> None:
    """As a PNG of few colours: screens have few, and it is small."""
    from PIL import Image

    page.screenshot(path=path)
    Image.open(path).convert("RGB").quantize(_COLOURS).save(path, optimize=True)


if __name__ == "__main__":
    main()
