"""What is exported: a model with what is known of it, and the real pictures that it is tried on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from trainer.mmseg_adapter.export.drawing import drawing_part
from trainer.mmseg_adapter.export.pictures import RealPictures
from trainer.mmseg_adapter.export.program import LabelProgram
from trainer.mmseg_adapter.export.refused import Refused
from trainer.mmseg_adapter.export.trace import Traced, traced_for_any, traced_for_one
from trainer.mmseg_adapter.scoring.predictor import TestWay
from trainer.storage.checkpoints import KeptScore

_Part = Annotated[int, Field(ge=0, le=255)]
_PALETTE = TypeAdapter(list[tuple[_Part, _Part, _Part]])


@dataclass(frozen=True)
class Subject:
    """A model to be taken away.

    Attributes:
        model: an mmseg segmentor on the CPU, in eval mode.
        meta: as `load_deployed` gives it.
    """

    model: Any
    meta: Mapping[str, Any]
    real: RealPictures

    @property
    def way(self) -> TestWay:
        return self.real.way

    @property
    def classes(self) -> list[str]:
        return list(self.meta["dataset_meta"]["classes"])

    @property
    def palette(self) -> list[list[int]]:
        """A colour, red first, for each class; empty where the checkpoint has none that can be meant."""
        colours = self.meta["dataset_meta"].get("palette")
        try:
            return [list(colour) for colour in _PALETTE.validate_python(colours)]
        except ValidationError:
            return []

    @property
    def score(self) -> KeptScore | None:
        """In training; None where the checkpoint does not say it."""
        try:
            return KeptScore.model_validate(self.meta.get("score"))
        except ValidationError:
            return None

    @cached_property
    def drawing(self) -> str | None:
        """See `drawing_part`."""
        return drawing_part(self.model, self.real.sized[0])

    def graphs(self) -> Iterator[Traced]:
        """The model as a label program, traced once each: for pictures of any size, then for those of one.

        The one size is the most frequent among the pictures.

        Raises:
            Refused: at the end of them, where torch.export makes none.
        """
        if isinstance(self._for_any, Traced):
            yield self._for_any
        if isinstance(self._for_one, Refused):
            raise self._for_one
        yield self._for_one

    @cached_property
    def _program(self) -> LabelProgram:
        return LabelProgram(self.model, self.way.inference)

    @cached_property
    def _for_any(self) -> Traced | Refused:
        return _told(lambda: traced_for_any(self._program, self.real.sized[0]))

    @cached_property
    def _for_one(self) -> Traced | Refused:
        return _told(lambda: traced_for_one(self._program, self.real.of_size(self.real.sizes[0]).pictures[0]))


def _told(trace: Callable[[], Traced]) -> Traced | Refused:
    """What is traced, or why there is nothing."""
    try:
        return trace()
    except Refused as why:
        return why
