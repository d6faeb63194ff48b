"""What a model asks of the other fields: of the batch, the decay, the crop."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.base.errors import Problem
from trainer.spec.checks import modes_problems, slide_problems
from trainer.spec.evaluation import AnyMode, Evaluation, Inference, Slide
from trainer.spec.models import AnyModel, ModelEntry, entry_of, model_problems
from trainer.spec.own.model import OwnModel
from trainer.spec.resources import Resources
from trainer.spec.schedule import Schedule


def fit_problems(
    model: AnyModel, schedule: Schedule, resources: Resources, evaluation: Evaluation, *, norms: bool
) -> list[Problem]:
    """Why the model cannot be trained, or not so.

    Args:
        norms: whether it is known how many pictures a worker gets.
    """
    problems = model_problems(model)
    if problems:
        return problems
    entry, called = entry_of(model), model.label
    return [
        *(_norm_problems(entry, called, schedule, resources) if norms else ()),
        *_layer_decay_problems(entry, called, schedule),
        *_inference_problems(entry, called, schedule, evaluation.inference),
        *modes_problems_for(model, schedule, evaluation.modes, "/evaluation/modes"),
        *_size_problems(model, entry, schedule),
    ]


def _norm_problems(entry: ModelEntry, model: str, schedule: Schedule, resources: Resources) -> list[Problem]:
    """Batch norm cannot train on one value a channel. On GPUs all workers normalise together."""
    if entry.norm_stride is None:
        return []
    parts = schedule.accumulate * (1 if resources.gpus_per_worker else resources.workers)
    if entry.norm_values(schedule.crop_size, schedule.batch_size // parts) > 1:
        return []
    height, width = schedule.crop_size
    shared = resources.workers * schedule.accumulate > 1
    one = (
        ("1 picture a worker" if schedule.accumulate == 1 else "1 picture at a time")
        if shared
        else "1 picture"
    )
    got = f"{one} of {height}×{width} gives batch norm in {model} one value a channel"
    more = f">= {2 * parts}"
    if not entry.norm_stride:
        return [Problem("/schedule/batch_size", got, more)]
    larger = f"a height or width >= {entry.norm_stride + 1}"
    return [
        Problem("/schedule/batch_size", got, f"{more}, or {larger} in /schedule/crop_size"),
        Problem("/schedule/crop_size", got, f"{larger}, or /schedule/batch_size {more}"),
    ]


def _layer_decay_problems(entry: ModelEntry, model: str, schedule: Schedule) -> list[Problem]:
    if schedule.layer_decay is None:
        return []
    where = "/schedule/layer_decay"
    if not entry.has_layers:
        return [Problem(where, f"{model} is no transformer: it has no layers to count", "null")]
    if schedule.parameter_groups or schedule.no_weight_decay:
        other = "parameter_groups" if schedule.parameter_groups else "no_weight_decay"
        got = (
            f"is given beside /schedule/{other}; it has groups of its own, without decay of norms and biases"
        )
        return [Problem(where, got, f"null, or no /schedule/{other}")]
    return []


def _size_problems(model: AnyModel, entry: ModelEntry, schedule: Schedule) -> list[Problem]:
    """An own model's size of pictures, where it takes one alone, is the crop's."""
    backbone = model.config["backbone"] if isinstance(model, OwnModel) else None
    given = backbone.get("img_size") if isinstance(backbone, dict) else None
    height, width = schedule.crop_size
    fits = [[height, width], height] if height == width else [[height, width]]
    if not entry.sized_by_crop or given is None or given in fits:
        return []
    where = "/model/config/backbone/img_size"
    return [Problem(where, f"{given} is not /schedule/crop_size", f"[{height}, {width}], or nothing")]


def modes_problems_for(
    model: AnyModel, schedule: Schedule, modes: Sequence[AnyMode], where: str
) -> list[Problem]:
    """What is wrong with modes, of themselves and for this model; `where` is their list's pointer."""
    problems = modes_problems(modes, where)
    for number, mode in enumerate(modes):
        problems += views_problems(model, schedule, mode, f"{where}/{number}")
    return problems


def views_problems(model: AnyModel, schedule: Schedule, mode: AnyMode, where: str) -> list[Problem]:
    """Why the model cannot take a mode's views, whole ones or windows; `where` is the mode's pointer."""
    if isinstance(mode, str) or mode.inference is None:  # the model's own way
        return []
    return _window_problems(entry_of(model), model.label, schedule, mode.inference, f"{where}/inference")


def _inference_problems(
    entry: ModelEntry, model: str, schedule: Schedule, inference: Inference
) -> list[Problem]:
    where = "/evaluation/inference"
    problems = slide_problems(inference, where) if isinstance(inference, Slide) else []
    return [*problems, *_window_problems(entry, model, schedule, inference, where)]


def _window_problems(
    entry: ModelEntry, model: str, schedule: Schedule, inference: Inference, where: str
) -> list[Problem]:
    """Windows must be of the only size that some models take."""
    if not entry.sized_by_crop:
        return []
    if not isinstance(inference, Slide):
        got = f"{model} takes pictures of the crop's size alone, not whole ones"
        return [Problem(where, got, "nothing, or a window of /schedule/crop_size")]
    if inference.window == schedule.crop_size:
        return []
    height, width = schedule.crop_size
    got = f"{model} takes pictures of the crop's size alone"
    return [Problem(f"{where}/window", got, f"/schedule/crop_size, [{height}, {width}]")]
