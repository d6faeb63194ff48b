"""A trained model as MLflow knows models: by a name, its words of the spec, and scores on data sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from trainer.spec.checkpoints import FINAL, CheckpointName
from trainer.spec.spec import ExperimentSpec
from trainer.tracking.content.datasets import TrackedDataset

_REFUSED = str.maketrans({".": "·", **dict.fromkeys("/:%\"'", "_")})  # in a model's name
_MOST_CHARACTERS = 200
# Words of a spec that tell models apart; all of them are parameters of the run.
_TELLING = ("model", "method", "weights", "seed", "recipe", "variant", "dataset.name", "schedule.iterations")


@dataclass(frozen=True)
class TrainedModel:
    """A checkpoint of a run. `key` is its name among the run's: no two of a run have the same."""

    name: str
    key: str
    params: Mapping[str, str]
    tags: Mapping[str, str]


class Scored(NamedTuple):
    """What was measured of it on one data set; names as of the run's metrics."""

    step: int
    unix_seconds: float
    values: Mapping[str, float]
    dataset: TrackedDataset


def trained_model(
    spec: ExperimentSpec, experiment: str, params: Mapping[str, str], checkpoint: CheckpointName = FINAL
) -> TrainedModel:
    """The experiment's model at a checkpoint, named as its run.

    Args:
        params: of the run.
    """
    name = spec.name if checkpoint == FINAL else f"{spec.name}, {checkpoint}"
    return TrainedModel(
        name=name.translate(_REFUSED)[:_MOST_CHARACTERS],
        key=str(checkpoint),
        params={key: value for key, value in params.items() if key.startswith(_TELLING)},
        tags={"rebalance.experiment": experiment, "rebalance.checkpoint": str(checkpoint)},
    )
