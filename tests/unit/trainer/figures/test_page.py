"""The HTML file: it holds all it needs, allows nothing else, and text from outside stays text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

from tests.unit.trainer.figures.studies import BASE, BETTER, RR, from_directories, report_of, two_by_two
from trainer.figures.document import page
from trainer.figures.document.files import write_report
from trainer.figures.document.page import report_html
from trainer.figures.sources import Source, study_of
from trainer.storage.posix import PosixFile, PosixFolder

VENDOR = Path(page.__file__).parent / "vendor"
HOSTILE = ["</script><script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "日本 {{ 7*7 }} &amp;"]


class Elements(HTMLParser):
    """Every element's name and attributes, and the text in scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._inside = tag == "script" and dict(attrs).get("type") is None
        if self._inside:
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._inside = False


def test_it_loads_nothing() -> None:
    """No address in any attribute but those within the page and pictures in it."""
    for tag, attributes in Elements(report_html(two_by_two())).found:
        for name in ("src", "href", "xlink:href", "action", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:image/")), (tag, value)


def test_only_its_own_scripts_run() -> None:
    """The policy names the digest of each script and of the style, and no source beside."""
    text = report_html(two_by_two())
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    allowed = policy.replace("&#39;", "'")
    scripts = Elements(text).scripts
    assert len(scripts) == 3
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in allowed
    assert "unsafe" not in allowed
    assert "http" not in allowed
    assert allowed.startswith("default-src 'none'; script-src 'sha256-")


def test_hostile_names_are_text() -> None:
    """Names of classes, experiments and settings end no element, and are no template."""
    reports = [
        report_of("a", BASE, names=HOSTILE, name="</title><script>alert(3)</script>"),
        report_of("b", BETTER, names=HOSTILE, method=RR),
    ]
    text = report_html(study_of([Source(report) for report in reports]))
    found = Elements(text)
    assert len(found.scripts) == 3
    assert not [tag for tag, _ in found.found if tag == "img"]
    assert "alert(1)" not in "".join(found.scripts)
    assert "{{ 7*7 }}" in text
    tables = re.findall(
        r'<script type="application/json" id="[a-z0-9]+-data">(.*?)</script>', text, re.DOTALL
    )
    names = {cell for each in tables for row in json.loads(each)["table"]["data"] for cell in row}
    assert set(HOSTILE) <= names


def test_figures_without_data_are_told() -> None:
    """With what would be needed, and nothing empty is drawn."""
    text = report_html(two_by_two())
    assert "Figures 9 to 12: pictures: it needs pictures kept by" in text
    assert 'id="figure9"' not in text


def test_files_of_a_report(tmp_path: Path) -> None:
    """The page, three files for each figure; what an earlier one had is gone, what is not ours stays."""
    figures = tmp_path / "figures"
    figures.mkdir()
    for name in ("lambda.svg", "notes.txt"):
        (figures / name).write_text("old")
    study = from_directories(tmp_path / "storage")
    write_report(study, PosixFile(tmp_path / "report.html"), PosixFolder(figures))
    names = {path.name for path in figures.iterdir()}
    assert {"figure3.svg", "figure3.png", "figure3.csv", "notes.txt"} <= names
    assert "lambda.svg" not in names
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")


def test_what_is_bundled() -> None:
    """Under 1.2 MB, with its licences and where it comes from beside it."""
    scripts = list(VENDOR.glob("*.js"))
    assert sum(path.stat().st_size for path in scripts) < 1_200_000
    assert "Redistribution and use in source and binary forms" in (VENDOR / "LICENSES.txt").read_text()
    told = json.loads((VENDOR / "bundle.json").read_text())
    for path in scripts:
        assert told["files"][path.name] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert b"</script" not in path.read_bytes().lower()
