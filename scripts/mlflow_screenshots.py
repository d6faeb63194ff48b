"""Pictures of MLflow's interface for the docs: how a sweep's trials look there, with what we set in advance.

`.venv/bin/python scripts/mlflow_screenshots.py URL SWEEP DIRECTORY`, of a sweep that an MLflow server at URL
has; needs Debian's chromium.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

_WIDTH = 1500
_LIMIT = 120_000  # milliseconds
_TRAINING = "workflowType=machine_learning"
_COLOURS = 96
_REST = 5000  # milliseconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("sweep")
    parser.add_argument("directory", type=Path)
    options = parser.parse_args()
    group = _experiment_of(options.url, options.sweep)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": _WIDTH, "height": 1000})
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
    below = f"{url}/#/experiments/{group}"
    runs = f"{below}/runs?{_TRAINING}&viewStateShareKey=rebalance-{sweep}"
    _open(page, f"{runs}&compareRunsMode=CHART")
    page.locator("img[src*='overlays']").nth(2).wait_for()
    page.locator(".barlayer .point").first.wait_for()
    _keep(page, out / "mlflow_compare.png", height=1150)
    page.locator("xpath=//*[text()='overlays/2']/following::button[1]").click()
    _keep(page, out / "mlflow_overlays.png", height=900)
    _open(page, runs)
    _keep(page, out / "mlflow_runs.png", height=520)
    _open(page, f"{runs}&compareRunsMode=ARTIFACT")
    _choose(page, "Table: ", "per_class_single_scale.json")
    _choose(page, "Group by: ", "class")
    _choose(page, "Compare: ", "IoU")
    _keep(page, out / "mlflow_table.png", height=900)
    _open(page, f"{below}/models?{_TRAINING}")
    _keep(page, out / "mlflow_models.png", height=520)


def _open(page: Page, address: str) -> None:
    """A page anew, with what the interface says of itself closed."""
    page.goto("about:blank")
    page.goto(address)
    page.get_by_text("lambda=").first.wait_for()
    for label in ("Close", "Hide banner"):
        for each in page.get_by_label(label, exact=True).all():
            each.click()


def _choose(page: Page, title: str, choice: str) -> None:
    """Chooses from one of the lists above a table."""
    page.get_by_text(title).first.click()
    page.get_by_role("option", name=choice, exact=True).first.click()
    page.keyboard.press("Escape")


def _keep(page: Page, path: Path, *, height: int) -> None:
    """The page once it is at rest, as a PNG of few colours: screens have few, and it is small."""
    from PIL import Image

    page.set_viewport_size({"width": _WIDTH, "height": height})
    page.wait_for_timeout(_REST)
    page.screenshot(path=path)
    Image.open(path).convert("RGB").quantize(_COLOURS).save(path, optimize=True)


if __name__ == "__main__":
    main()
