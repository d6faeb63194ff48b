"""Charts from rows: each renders, what is said in it is text, and nothing is told by colour alone."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import altair as alt
import pytest
from PIL import Image

from tests.unit.trainer.figures.studies import BASE, BETTER, RR, from_directories, report_of, two_by_two
from trainer.data.frequency_tables import packaged_table
from trainer.figures import palette, render
from trainer.figures.captions import about
from trainer.figures.catalogue import KINDS
from trainer.figures.charts import frequencies
from trainer.figures.charts.parts import finished, with_rows
from trainer.figures.figure import Absent, Figure, as_csv, as_png, as_svg, figure_of, figures_of
from trainer.figures.rows import correlations
from trainer.figures.rows.frequencies import rows_of
from trainer.figures.sources import Source, study_of

HOSTILE = ("</script><script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "日本 λ' & \u202e{{7*7}}")


def drawn(name: str, study: object) -> Figure:
    found = figure_of(study, KINDS[name])  # type: ignore[arg-type]
    assert isinstance(found, Figure), found
    return found


def test_every_figure_is_drawn_or_says_what_it_needs(tmp_path: Path) -> None:
    """Each as SVG that is XML, as PNG, and with its rows as CSV."""
    found = list(figures_of(from_directories(tmp_path)))
    assert {one.kind.name for one in found} == set(KINDS)
    absent = {one.kind.name for one in found if isinstance(one, Absent)}
    assert absent == {"figure7", "figure9", "lambda"}
    for one in found:
        if isinstance(one, Figure):
            ET.fromstring(as_svg(one))
            assert Image.open(io.BytesIO(as_png(one))).width > 300
            lines = list(csv.reader(io.StringIO(as_csv(one))))
            assert len(lines) == 1 + len(one.rows)


def test_the_parts_of_region_rebalance_and_lambda() -> None:
    """The two that need settings of their own."""
    methods = [{}, *({"method": {**RR, "lambda": value}} for value in (0.1, 0.3, 0.4))]
    methods.append({"method": {**RR, "rebalance": "none"}})
    study = study_of([Source(report_of(f"e{n}", BASE, **spec)) for n, spec in enumerate(methods)])
    assert "I: region classification" in drawn("figure7", study).drawing
    assert "DeepLabV3+ R-50" in drawn("lambda", study).drawing


def test_names_from_outside_are_text() -> None:
    """Class names with markup and quotes come out as letters in SVG, and are no formula in CSV."""
    names = [*HOSTILE[:2], "=1+1"]
    reports = [report_of("a", BASE, names=names), report_of("b", BETTER, names=names, method=RR)]
    figure = drawn("figure3", study_of([Source(report) for report in reports]))
    root = ET.fromstring(figure.drawing)
    texts = {element.text for element in root.iter() if element.text}
    assert "<script>" not in figure.drawing
    assert "<img" not in figure.drawing
    assert any("<script>" in text for text in texts)
    assert "'=1+1" in as_csv(figure)


def test_ink_is_the_pages() -> None:
    """Text and axes have no colour of their own: one drawing serves light and dark. A file has paper."""
    figure = drawn("seeds", two_by_two())
    assert 'fill="currentColor"' in figure.drawing
    assert 'fill="#000' not in figure.drawing
    assert 'fill="white"' not in figure.drawing
    assert f'<rect width="100%" height="100%" fill="{palette.LIGHT_PAPER}"/>' in as_svg(figure)
    corner = Image.open(io.BytesIO(as_png(figure))).convert("RGB").getpixel((0, 0))
    assert corner == (255, 255, 255)


def test_coordinates_are_short_and_words_stay() -> None:
    """Three decimals and more are rounded in attributes, never in texts."""
    rows = [{"name": "1.23456", "value": 1.0}, {"name": "b", "value": 2 / 3}]
    chart = alt.Chart(alt.NamedData(name="rows")).mark_bar().encode(x="value:Q", y="name:N")
    drawing = render.svg(render.live(with_rows(finished(chart), rows)))  # type: ignore[arg-type]
    assert ">1.23456<" in drawing
    assert not re.search(r'(?:d|transform|width)="[^"]*\d\.\d{3}', drawing)


def test_vega_lite_is_altairs() -> None:
    """The version that charts are rendered by is the one that Altair writes."""
    assert alt.SCHEMA_VERSION.lstrip("v").startswith(render.VEGALITE)


def test_series_differ_in_more_than_colour() -> None:
    """Up to 49 settings no two have both colour and shape."""
    labels = [str(number) for number in range(49)]
    pairs = zip(palette.series_colours(labels), palette.series_shapes(labels), strict=True)
    assert len(set(pairs)) == 49


@pytest.mark.parametrize("paper", [palette.LIGHT_PAPER, palette.DARK_PAPER])
def test_colours_stand_out_from_the_paper(paper: str) -> None:
    """As palette.py says, on the light and on the dark one (WCAG 2.2 contrast)."""
    for colour in palette.SERIES:
        lighter, darker = sorted((luminance(colour), luminance(paper)), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 2, colour


@pytest.mark.parametrize(("name", "pixel", "region"), [("ade20k", 827, 282), ("cocostuff164k", 2612, 528)])
def test_figure_5_of_the_packaged_tables(name: str, pixel: int, region: int) -> None:
    """PIF and RIF of ADE20K and COCO-Stuff 164K are the paper's, which cuts decimals off."""
    rows = rows_of(packaged_table(name), name, dataset=name)
    drawing = render.svg(render.live(with_rows(finished(frequencies.chart(rows)), rows)))
    found = re.findall(r"([PR]IF) ([\d,]+)\.\d \(the paper: ([\d,]+)\)", drawing)
    assert found == [("PIF", f"{pixel:,}", f"{pixel:,}"), ("RIF", f"{region:,}", f"{region:,}")]


def test_captions_say_what_stands_behind() -> None:
    """Number of runs, seeds, data set, pictures, mode and schedule; few seeds are called few."""
    told = about(two_by_two())
    assert told.startswith("n = 4 runs: 2 settings, seeds 0, 1; digit_scenes, 10 pictures scored")
    assert "1,000 iterations of batch 16, crops of 64×64" in told
    assert "Only 2 seeds" in drawn("seeds", two_by_two()).caption
    one = study_of([Source(report_of("a", BASE))])
    assert "One seed" in drawn("seeds", one).caption


def luminance(colour: str) -> float:
    """Relative, of sRGB; WCAG 2.2."""
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_table_2_has_every_run_and_the_papers() -> None:
    """The paper's two coefficients stand below those of ADE20K, and below no other's."""
    assert [line[:2] for line in correlations.grid(two_by_two()).rows] == [
        ["baseline", "0"],
        ["baseline", "1"],
        ["region_rebalance", "0"],
        ["region_rebalance", "1"],
    ]
    ade20k = report_of("a", BASE, dataset={"name": "ade20k", "root": "/data"})
    assert correlations.grid(study_of([Source(ade20k)])).rows[-1] == [
        "the paper's baseline",
        "",
        "35.00",
        "41.30",
    ]
