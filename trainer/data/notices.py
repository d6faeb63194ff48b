"""What a reader of the numbers should know of a run's recipe, pictures and splits: notices, from facts."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.data.frequency import Counted
from trainer.data.frequency_tables import PACKAGED_IMAGES
from trainer.data.pictures import Pictures
from trainer.data.prepare import PreparedData
from trainer.spec.recipes import overrides_of
from trainer.spec.spec import ExperimentSpec
from trainer.storage.notices import Notice


def override_notices(spec: ExperimentSpec) -> Iterator[Notice]:
    """In what a recipe's training is not the recipe's."""
    changed = overrides_of(spec.model_dump(mode="json"))
    if changed:
        text = f"not as {spec.recipe} says: {'; '.join(map(str, changed))}"
        yield Notice(code="recipe_overridden", text=text)


def data_notices(
    data: PreparedData, pictures: Pictures, train: Counted, *, table: str | None
) -> tuple[Notice, ...]:
    """Of splits, of a table of class frequencies that stands for counting, and of greyscale pictures."""
    return (*_seen_in_training(data), *_of_other_pictures(table, train), *_greyscale(pictures, data))


def _of_other_pictures(table: str | None, train: Counted) -> Iterator[Notice]:
    """Where a packaged table stands for a split that cannot be the one it was counted on."""
    images, region = train.frequencies.images, train.frequencies.region
    of = PACKAGED_IMAGES.get(table or "", images)
    if of == images:
        return
    present = f"{sum(count > 0 for count in region)} of the {len(region)} classes"
    yield Notice(
        code="table_of_other_pictures",
        text=f"class frequencies are those of table {table!r}, counted on {of} pictures;"
        f" split {train.split!r} has {images} {'picture' if images == 1 else 'pictures'} with {present}",
        hint='"frequency_table": null in /dataset counts the masks at hand',
    )


def _seen_in_training(data: PreparedData) -> Iterator[Notice]:
    if data.train_split == data.eval_split:
        yield Notice(
            code="scored_on_training",
            text=f"split {data.eval_split!r} is both trained and scored on: the scores say nothing of other"
            " pictures",
            hint="another split as /dataset/eval_split",
        )


def _greyscale(pictures: Pictures, data: PreparedData) -> Iterator[Notice]:
    if not pictures.grey:
        return
    splits = " and ".join(dict.fromkeys((data.train_split, data.eval_split)))
    number = f"{pictures.grey} of {pictures.images} pictures ({splits})"
    text = f"{number} are greyscale: they are read as three equal channels"
    yield Notice(code="greyscale_pictures", text=text)
