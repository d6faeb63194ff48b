"""The checkpoint to deploy, `final.pth`: weights, and all that is needed to build their model again."""

from __future__ import annotations

import json
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mmseg.models  # noqa: F401 - fills mmseg's registries
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from torch import nn

from trainer.base.errors import CheckpointError, ModelError, SpecError
from trainer.mmseg_adapter.check_sums import damage
from trainer.mmseg_adapter.model.config import revive
from trainer.mmseg_adapter.model.fit import check_size
from trainer.spec.own.model import own_model_problems
from trainer.spec.spec import ExperimentSpec, parse_spec

# How a model begins and how it is trained says nothing of what it computes.
_OF_TRAINING = {"init_cfg", "pretrained", "loss_decode", "loss_se_decode", "sampler"}
_OF_HEADS = ("num_classes", "out_channels", "threshold", "ignore_index")
_OF_MODELS = ("data_preprocessor", "train_cfg", "test_cfg")
# Beside those that torch names: what a damaged pickle makes its reader stumble over.
_UNREADABLE = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)


def plain_model(model: Mapping[str, Any]) -> dict[str, Any]:
    """A rendered model without losses and first weights: `MODELS.build(revive(…))` builds it.

    The state of a checkpoint to deploy loads strictly into what it builds.
    """
    plain: dict[str, Any] = _without_training(model)
    return plain


def _without_training(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_without_training(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {name: _without_training(item) for name, item in value.items() if name not in _OF_TRAINING}


def load_deployed(file: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The model of a `final.pth` on the CPU, ready to predict, and what the file says of it.

    `meta` has `model` (mmseg's config as plain data, see `revive`), `dataset_meta` (`classes`, `palette`),
    `spec`, `mmseg_version`, `experiment` and `iteration`. The file may be anybody's: nothing in it is run,
    and its model is made of parts that only compute.

    Raises:
        CheckpointError: it is missing, cut short, of another kind, or does not fit its own model.
    """
    return build_deployed(read_payload(file), file)


def spec_in(meta: Mapping[str, Any], file: Path) -> ExperimentSpec:
    """The spec of the experiment that a checkpoint to deploy is of. Raises CheckpointError."""
    try:
        return parse_spec(meta.get("spec"))
    except SpecError as error:
        raise CheckpointError(f"{file}: meta/spec is no spec of an experiment: {error}") from None


def build_deployed(
    payload: object, file: Path, *, model_of: str = "in meta/model"
) -> tuple[nn.Module, dict[str, Any]]:
    """`load_deployed` of what was read of `file` already, whose model is the one `model_of`, for messages."""
    state, meta = _contents(payload, file)
    _check_parts(meta["model"], file)
    config = revive(meta["model"])
    try:
        check_size(config, where="meta/model")
        with DefaultScope.overwrite_default_scope("mmseg"):
            model: nn.Module = MODELS.build(Config(config))
        model.load_state_dict(state, strict=True)
    except ModelError as error:
        raise CheckpointError(f"{file}: {error}") from None
    except (RuntimeError, TypeError, ValueError, LookupError, AssertionError, AttributeError) as error:
        words = " ".join(str(error).split())[:300]
        raise CheckpointError(f"{file}: the weights do not fit the model {model_of}: {words}") from None
    return model.eval(), meta


def read_payload(file: Path) -> object:
    """What a checkpoint of torch holds, on the CPU; nothing in it is run.

    Raises:
        CheckpointError: it is missing, cut short, damaged, or holds more than tensors and plain values.
    """
    try:
        wrong = damage(file)
        if wrong is not None:
            raise CheckpointError(f"{file} {wrong}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of forms of pickle that torch does not write
            return torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{file} is not there") from None
    except PermissionError:
        raise CheckpointError(f"{file} may not be read") from None
    except IsADirectoryError:
        raise CheckpointError(f"{file} is a directory, not a file") from None
    except _UNREADABLE as error:
        raise CheckpointError(f"{file} {_why(file, error)}") from None


def _why(file: Path, error: Exception) -> str:
    """Why a file that is there cannot be read."""
    if zipfile.is_zipfile(file):
        if isinstance(error, pickle.UnpicklingError):
            return "is no checkpoint to deploy: it holds more than tensors and plain values"
        return "is damaged: its parts cannot be read"
    if "zip archive" in str(error):  # it begins as one
        return "is cut short: it begins as a checkpoint and does not end as one"
    return "is no checkpoint of torch"


def _contents(payload: object, file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """(state, meta) of a payload that has all that is needed."""
    if not isinstance(payload, dict):
        raise CheckpointError(f"{file} holds no dictionary with state_dict and meta")
    if "optimizer" in payload:
        raise CheckpointError(f"{file} is a checkpoint to resume from; the one to deploy is final.pth")
    state, meta = payload.get("state_dict"), payload.get("meta")
    if not isinstance(state, dict) or not isinstance(meta, dict):
        raise CheckpointError(f"{file} is a checkpoint of another kind: it lacks state_dict or meta")
    model = _as_json(meta.get("model"))
    if not isinstance(model, dict):
        raise CheckpointError(f"{file} does not say which model it holds: meta/model is missing or no JSON")
    data = meta.get("dataset_meta")
    classes = data.get("classes") if isinstance(data, dict) else None
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes) or not classes:
        raise CheckpointError(f"{file} does not name its classes: meta/dataset_meta/classes is missing")
    if any(head.get("num_classes") != len(classes) for head in _heads(model, "decode_head")):
        raise CheckpointError(f"{file} names {len(classes)} classes, and its heads have others")
    return state, {**meta, "model": model}


def _as_json(value: object) -> object:
    """What a checkpoint has as plain values, as JSON has them; None where they are not plain."""
    try:
        plain: object = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return None
    return plain


def _heads(model: Mapping[str, Any], *names: str) -> list[dict[str, Any]]:
    """The heads under these names, a single one too."""
    found = [model.get(name) for name in names]
    flat = [one for each in found for one in (each if isinstance(each, list) else [each])]
    return [one for one in flat if isinstance(one, dict)]


def _check_parts(model: dict[str, Any], file: Path) -> None:
    """Refuses a model of other parts than those that only compute."""
    heads = {"decode_head", "auxiliary_head"}
    network = {name: value for name, value in model.items() if name not in _OF_MODELS}
    network |= {name: _bare(model[name]) for name in heads & network.keys()}
    problems = [str(problem) for problem in own_model_problems(network, "meta/model", of_a_checkpoint=True)]
    problems += [f"{name}: is not plain" for name in _OF_MODELS if not _is_plain(model.get(name))]
    preprocessor = model.get("data_preprocessor")
    if isinstance(preprocessor, dict) and preprocessor.get("type") != "SegDataPreProcessor":
        problems.append("meta/model/data_preprocessor/type: is not known; allowed: SegDataPreProcessor")
    settings = [(name, head.get(name)) for head in _heads(model, *heads) for name in _OF_HEADS]
    problems += [f"{name}: {value!r} is no number" for name, value in settings if not _is_number(value)]
    if problems:
        raise CheckpointError(f"{file} holds a model that is not built here: {'; '.join(problems[:5])}")


def _bare(head: Any) -> Any:
    """Heads without what the data set decides."""
    if isinstance(head, list):
        return [_bare(one) for one in head]
    if not isinstance(head, dict):
        return head
    return {name: value for name, value in head.items() if name not in _OF_HEADS}


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool) and value < 1e5)


def _is_plain(settings: object) -> bool:
    """Whether a setting is an object of words, numbers and lists of them, with nothing to build or call."""
    if settings is None:
        return True
    if not isinstance(settings, dict):
        return False
    values = [item for value in settings.values() for item in (value if isinstance(value, list) else [value])]
    return all(item is None or isinstance(item, (str, int, float)) for item in values)
