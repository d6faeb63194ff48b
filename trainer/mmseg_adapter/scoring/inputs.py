"""What a loader hands on of a picture that is scored: its views, and its labels at their full size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmseg.datasets.transforms import PackSegInputs
from mmseg.registry import TRANSFORMS

from trainer.mmseg_adapter.scoring.views import views_of
from trainer.mmseg_adapter.way import read_mode, read_way


@TRANSFORMS.register_module()
class PackViews(PackSegInputs):  # type: ignore[misc]
    """As mmseg's PackSegInputs, but `inputs` has the picture's views: see `views_of`.

    Args:
        modes, way: as `trainer.mmseg_adapter.way.written` has each of them.
    """

    def __init__(self, modes: Sequence[Mapping[str, Any]], way: Mapping[str, Any]) -> None:
        super().__init__()
        self._modes = [read_mode(mode) for mode in modes]
        self._way = read_way(way)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        views = views_of(results.pop("img"), self._modes, self._way)
        packed: dict[str, Any] = super().transform(results)
        return {**packed, "inputs": views}
