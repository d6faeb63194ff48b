"""What was counted of a data set's labels, and what its spec says of the ids in masks."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.data.frequency import Counted
from trainer.spec.data.datasets import IGNORE_INDEX
from trainer.spec.data.label_map import LabelMap, as_stored


@dataclass(frozen=True)
class LabelFacts:
    """`scored` is None where one split alone was counted."""

    dataset: str  # its name in a spec
    classes: tuple[str, ...]
    train: Counted
    scored: Counted | None = None
    label_map: LabelMap | None = None

    @property
    def splits(self) -> tuple[Counted, ...]:
        """One or two, each once."""
        both = (self.train,) if self.scored is None else (self.train, self.scored)
        return tuple({one.split: one for one in both}.values())

    @property
    def built_in(self) -> bool:
        """Whether it is rendered, and has no files that could be otherwise."""
        return self.dataset == "digit_scenes"

    @property
    def free(self) -> bool:
        """Whether ids are taken as they are stored, and may be given another meaning."""
        return self.dataset == "folder" and self.label_map is None

    def void_share(self, split: Counted) -> float:
        """Of all pixels of a split."""
        ids = as_stored(len(self.classes)) if self.label_map is None else self.label_map
        return sum(split.id_pixel[k] for k, to in ids if to == IGNORE_INDEX) / sum(split.id_pixel)
