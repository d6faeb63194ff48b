"""How a model is used at test time, as plain data: what a config, a plan and a loader's process can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import TypeAdapter

from trainer.spec.augmentation import Base
from trainer.spec.evaluation import MODES, SINGLE_SCALE, Inference, Mode
from trainer.spec.models import entry_of
from trainer.spec.spec import ExperimentSpec


@dataclass(frozen=True)
class TestWay:
    """How a model is used at test time, where a mode says nothing else.

    Attributes:
        test_size: at which pictures are scored.
        scale: of the data set; multiplies pictures that are scored at their own size.
        inference: over the whole picture, or over windows.
        smallest: no view's shorter side is below: models of one size take no smaller windows.
    """

    __test__: ClassVar[bool] = False  # no test, whatever pytest thinks of the name

    test_size: Base
    scale: float
    inference: Inference
    smallest: int = 1


def way_of(spec: ExperimentSpec) -> TestWay:
    """As `spec` says."""
    return TestWay(
        test_size=spec.augmentation.test_size,
        scale=getattr(spec.dataset, "scale", 1.0),
        inference=spec.evaluation.inference,
        smallest=max(spec.schedule.crop_size) if entry_of(spec.model).sized_by_crop else 1,
    )


def inference_in(mode: Mode, way: TestWay) -> Inference:
    """The mode's, else the usual."""
    return mode.inference or way.inference


def is_plain(mode: Mode) -> bool:
    """Whether the mode sees each picture once, as it is scored in training."""
    return mode == MODES[SINGLE_SCALE]


_WAY: TypeAdapter[TestWay] = TypeAdapter(TestWay)


def written(mode: Mode, way: TestWay) -> dict[str, Any]:
    """{"mode": …, "way": …} in JSON types; `read_mode` and `read_way` read them."""
    return {"mode": mode.model_dump(mode="json"), "way": _WAY.dump_python(way, mode="json")}


def read_mode(plain: Mapping[str, Any]) -> Mode:
    return Mode.model_validate(plain)


def read_way(plain: Mapping[str, Any]) -> TestWay:
    return _WAY.validate_python(plain)
