"""A checkpoint that was kept of an experiment, as a model that predicts: also one to resume from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from trainer.base.errors import CheckpointError
from trainer.criterion import shift_of_predictions
from trainer.mmseg_adapter.data import colours_of
from trainer.mmseg_adapter.head import folded, without_criterion
from trainer.mmseg_adapter.model.deployed import build_deployed, plain_model, read_payload
from trainer.spec.checkpoints import CheckpointName
from trainer.spec.spec import parse_spec
from trainer.storage.checkpoints import KeptScore, StoredCheckpoint, find_checkpoint, newest_plan
from trainer.storage.layout import Storage

Payload = dict[str, Any]
_AVERAGED = "module."  # how names in the state of torch's AveragedModel begin


@dataclass(frozen=True)
class Kept:
    """A model on the CPU, ready to predict.

    Attributes:
        meta: what its file says of it, as `load_deployed` gives it.
        file: relative to the storage root.
    """

    model: nn.Module
    meta: dict[str, Any]
    file: str
    iteration: int


def load_kept(storage: Storage, experiment: str, name: CheckpointName) -> Kept:
    """The model of a checkpoint: of `best` and `last` the one that they mean now.

    Raises:
        CheckpointError: it is not there (with those that are), damaged, or of another model.
    """
    payload, found = kept_payload(storage, experiment, name)
    file = storage.file(found.file).local
    model, meta = build_deployed(payload, file, model_of=_model_of(found))
    return Kept(model, meta, found.file, int(meta["iteration"]))


def kept_payload(storage: Storage, experiment: str, name: CheckpointName) -> tuple[Payload, StoredCheckpoint]:
    """What a file to deploy holds, for this checkpoint, and which one it is; errors as `load_kept`."""
    found = find_checkpoint(storage, experiment, name)
    file = storage.file(found.file).local
    payload = read_payload(file)
    if found.to_resume:
        payload = _to_deploy(payload, newest_plan(storage, experiment), file)
    if not isinstance(payload, dict):
        raise CheckpointError(f"{file} holds no dictionary")
    return payload, found


def deployable_meta(plan: Mapping[str, Any], *, iteration: int, score: KeptScore | None) -> dict[str, Any]:
    """`meta` of a checkpoint to deploy, of an experiment with this plan.json: plain values."""
    classes = list(plan["data"]["classes"])
    return {
        "dataset_meta": {"classes": classes, "palette": colours_of(classes, plan["data"]["palette"])},
        "model": plain_model(plan["config"]["model"]),
        "mmseg_version": plan["versions"]["onedl-mmsegmentation"],
        "spec": plan["spec"],
        "experiment": plan["experiment"],
        "iteration": iteration,
        "score": None if score is None else score.model_dump(),
    }


def _model_of(found: StoredCheckpoint) -> str:
    return "of the experiment's plan.json" if found.to_resume else "in meta/model"


def _to_deploy(payload: object, plan: Mapping[str, Any] | None, file: Path) -> Payload:
    """A checkpoint to resume from, without what is for training alone; the average where there is one."""
    if plan is None:
        raise CheckpointError(f"{file}: no attempt has left a plan.json, which says what model it holds")
    if not isinstance(payload, dict) or "optimizer" not in payload or "iteration" not in payload:
        raise CheckpointError(f"{file} is no checkpoint to resume from")
    if payload.get("spec_hash") != plan["spec_hash"]:
        raise CheckpointError(f"{file} was written for another spec than the experiment's newest plan.json")
    meta = deployable_meta(plan, iteration=int(payload["iteration"]), score=None)
    state = without_criterion(_scored_state(payload))
    return {"state_dict": _shifted(state, plan), "meta": meta}


def _scored_state(payload: Mapping[str, Any]) -> dict[str, Tensor]:
    if "average" not in payload:
        return dict(payload["state_dict"])
    average = payload["average"].items()
    return {name.removeprefix(_AVERAGED): value for name, value in average if name.startswith(_AVERAGED)}


def _shifted(state: dict[str, Tensor], plan: Mapping[str, Any]) -> dict[str, Tensor]:
    """The state with the method's shift of predictions in the classifier's bias, as `deployable_state`'s."""
    shift = shift_of_predictions(
        parse_spec(plan["spec"]).method,
        pixel_counts=plan["frequencies"]["pixel"],
        region_counts=plan["frequencies"]["region"],
    )
    if shift is None:
        return state
    heads = plan["config"]["model"]["decode_head"]
    place = f"decode_head.{len(heads) - 1}" if isinstance(heads, list) else "decode_head"
    bias = f"{place}.conv_seg.bias"
    return {**state, bias: folded(state[bias], shift)}
