"""The CamVid campaign: its specs, and the arithmetic of its page."""

from __future__ import annotations

import pytest

from scripts import campaign
from trainer.compare import ComparisonRow
from trainer.spec import parse_spec


def row(method: str, seed: int, miou: float | None) -> ComparisonRow:
    return ComparisonRow(
        experiment=f"{method}-{seed}",
        name="",
        method=method,
        seed=seed,
        dataset="camvid",
        model="small",
        mIoU=miou,
        mAcc=50.0,
        aAcc=80.0,
        head_mIoU=70.0,
        body_mIoU=40.0,
        tail_mIoU=None,
        delta_mIoU=None,
        seconds=10.0,
    )


def test_specs_are_valid_and_differ() -> None:
    """Every method runs with every seed, each as an experiment of its own."""
    wanted = campaign.documents(3, cpus=1, iterations=None)
    keys = {campaign._key(document) for document in wanted}
    assert len(keys) == len(wanted) == 3 * len(campaign.METHODS)
    assert {parse_spec(document).seed for document in wanted} == {0, 1, 2}


@pytest.mark.parametrize(
    ("values", "text"),
    [([50.0, 52.0], "51.00 ± 1.41"), ([50.0, None], "50.00"), ([None], "–"), ([], "–")],
)
def test_spread(values: list[float | None], text: str) -> None:
    """Mean and sample standard deviation of what is defined; no spread from one value."""
    assert campaign.spread(values) == text


def test_differences_are_paired_by_seed() -> None:
    """ΔmIoU compares runs of the same seed, so a seed that is good for all methods adds no spread."""
    rows = [row("baseline", 0, 40.0), row("other", 0, 41.0), row("baseline", 1, 60.0), row("other", 1, 61.0)]
    by_method = {cells[0]: cells for cells in campaign._mean_rows(rows)}
    assert by_method["other"][-1] == "+1.00 ± 0.00"
    assert by_method["other"][2] == "51.00 ± 14.14"
    assert by_method["baseline"][1] == "2"
