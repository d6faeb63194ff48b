"""What a follow-up needs, from what its experiment has left in storage."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from pydantic import ValidationError

from trainer.base.data_roots import DataRoot, names_in
from trainer.base.errors import ReportError, SpecError
from trainer.data.folders import resolve_evaluated
from trainer.data.prepare import PreparedData, prepare
from trainer.followups.task import FollowupPlan, FollowupTask
from trainer.plan import Plan, installed_versions, look_at
from trainer.spec.data.class_map import scored_map
from trainer.spec.followups import EvaluationRequest, problems_for, resources_of
from trainer.storage import checkpoints
from trainer.storage.layout import Storage


def make_followup_plan(
    task: FollowupTask, *, data_roots: Sequence[DataRoot] | None, say: Callable[[str], None]
) -> FollowupPlan:
    """The task with all that its workers need; data that will be scored are read once, and checked.

    Args:
        data_roots: directories in which another data set may lie; None allows any.

    Raises:
        ReportError: no attempt at the experiment has left a plan.
        SpecError: the experiment's model does not allow what is asked; the other data set is not there, or
            its classes are not the experiment's.
        DataError: pictures or masks are not what the request says.
    """
    trained = newest_plan(task.layout, task.experiment)
    problems = problems_for(task.request, trained.spec)
    if problems:
        raise SpecError(tuple(problems))
    data = replace(trained.data, train_split=trained.data.eval_split)  # nothing else is looked at
    if isinstance(task.request, EvaluationRequest):
        data = _evaluated(task, task.request, trained, data_roots, say) or data
        look_at(data, task.layout, say)
    return FollowupPlan(
        **dict(task),
        spec=trained.spec,
        data=data,
        frequencies=trained.frequencies,
        resources=resources_of(task.request, trained.spec.resources),
        versions=installed_versions(),
    )


def newest_plan(storage: Storage, experiment: str) -> Plan:
    """The plan of the newest attempt at the experiment that has one.

    Raises:
        ReportError: there is none, or it is of another release.
    """
    found = checkpoints.newest_plan(storage, experiment)
    if found is None:
        raise ReportError(f"experiment {experiment} has no plan.json: no attempt at it has come so far")
    try:
        return Plan.model_validate_json(json.dumps(found))
    except ValidationError as error:
        first = error.errors()[0]
        where = "/".join(map(str, first["loc"]))
        text = f"plan.json of experiment {experiment} is no plan of this release: {where}: {first['msg']}"
        raise ReportError(text) from None


def _evaluated(
    task: FollowupTask,
    request: EvaluationRequest,
    trained: Plan,
    data_roots: Sequence[DataRoot] | None,
    say: Callable[[str], None],
) -> PreparedData | None:
    """The other data set that is asked for, in the experiment's classes; None where none is."""
    if request.dataset is None:
        return None
    resolved = resolve_evaluated(request.dataset, data_roots=data_roots)
    other = prepare(resolved, task.layout, say, named=names_in(data_roots or ()))
    ours = trained.data.classes
    return replace(
        other,
        train_split=other.eval_split,
        classes=ours,
        label_map=scored_map(ours, other.classes, other.label_map, request.class_map),
        palette=trained.data.palette,
    )
