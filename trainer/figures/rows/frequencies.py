"""Figure 5: how unbalanced the classes of a data set are, by pixels and by pictures that have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trainer.data.frequency_tables import FrequencyTable
from trainer.figures.rows.row import Row, Rows
from trainer.figures.study import Study
from trainer.results.metrics import imbalance_factor
from trainer.spec.catalogue.published import imbalance

WORDS = {"pixel": "pixels", "region": "pictures with the class"}


def rows(study: Study) -> Rows:
    """Of each training set in the study; those that are the same are there once."""
    found: dict[FrequencyTable, str] = {}
    for setting in study.settings:
        classes = setting.runs[0].scores.classes
        table = FrequencyTable(
            classes=tuple(one.name for one in classes),
            pixel=tuple(one.pixel_frequency for one in classes),
            region=tuple(one.region_frequency for one in classes),
        )
        found.setdefault(table, setting.spec.dataset.name)
    names = [*found.values()]
    return [
        row
        for number, (table, name) in enumerate(found.items(), start=1)
        for row in rows_of(table, name if names.count(name) == 1 else f"{name} {number}", dataset=name)
    ]


def rows_of(table: FrequencyTable, title: str, *, dataset: str) -> list[Row]:
    """Two rows for each class, by pixels and by pictures, each most frequent first, with the factors.

    Args:
        dataset: its name, by which the paper's factors are found.
    """
    found: list[Row] = []
    for kind, counts in (("pixel", table.pixel), ("region", table.region)):
        order = sorted(range(len(counts)), key=lambda k: -counts[k])
        found += [
            {
                "dataset": title,
                "frequency": kind,
                "rank": rank,
                "class": table.classes[k],
                "count": counts[k],
                "imbalance_factor": imbalance_factor(counts),
                "paper": imbalance(dataset, kind),
            }
            for rank, k in enumerate(order, start=1)
        ]
    return found


def factors(found: Sequence[Mapping[str, object]]) -> dict[tuple[str, str], tuple[float | None, int | None]]:
    """(ours, the paper's) by (data set, frequency)."""
    return {
        (str(row["dataset"]), str(row["frequency"])): (row["imbalance_factor"], row["paper"])  # type: ignore[misc]
        for row in found
    }
