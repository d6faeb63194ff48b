"""Options of `rebalance report`."""

from __future__ import annotations

import argparse

from service.cli.option_types import identifier


def add_report_options(parser: argparse.ArgumentParser) -> None:
    """Adds its flags."""
    text = "a sweep; or experiments, the first of which is the reference"
    parser.add_argument("id", metavar="ID", type=identifier, nargs="+", help=text)
    text = "the HTML file (report-ID.html, of several report.html)"
    parser.add_argument("--out", metavar="FILE", help=text)
    text = "also every figure as SVG, PNG and CSV, in this directory"
    parser.add_argument("--figures", metavar="DIR", help=text)
    text = "of experiments: way of scoring (the reference's first)"
    parser.add_argument("--mode", metavar="MODE", help=text)
