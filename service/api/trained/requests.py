"""From what was sent to what is asked for: all that a follow-up needs is looked for before it is stored."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from fastapi import Query
from pydantic import ValidationError, WithJsonSchema

from service.api.requests import BadParameter, BadPicture
from service.shared.settings import Settings
from service.store.experiments import Store
from service.store.records import Experiment, UnknownExperiment
from trainer.base.errors import Problem, SpecError
from trainer.base.pointers import excerpt
from trainer.data.class_names import class_names
from trainer.data.folders import resolve_evaluated
from trainer.data.headers import Refused, picture_header
from trainer.spec.checkpoints import BEST, FINAL, LAST, CheckpointName
from trainer.spec.data.class_map import scored_map, unlike_classes
from trainer.spec.evaluation import ModeName
from trainer.spec.followups import (
    AnyRequest,
    EvaluationRequest,
    ExportRequest,
    FollowupKind,
    PredictionRequest,
    parse_followup,
    problems_for,
)
from trainer.spec.spec import ExperimentSpec
from trainer.storage.checkpoints import find_checkpoint, newest_plan
from trainer.storage.layout import Storage

_MOST_SIDE = 16_384  # pixels of a picture that is sent
CHECKPOINT_WORDS = "final|best|last|(?:iter_)?[0-9]{1,9}"
CHECKPOINT_SCHEMA = {"type": "string", "pattern": f"^({CHECKPOINT_WORDS})$"}
Checkpoint = Annotated[
    str,
    Query(description="final, best, last, iter_N or N."),
    # Told here, enforced by `checkpoint_named`, which says what is allowed.
    WithJsonSchema(CHECKPOINT_SCHEMA),
]


def evaluation_of(document: object, experiment: str, store: Store, settings: Settings) -> EvaluationRequest:
    """The evaluation that a document asks for, its data set's root absolute.

    Raises:
        SpecError: with every problem found.
        CheckpointError: a checkpoint is not there; with those that are.
    """
    request = parse_followup(_with_kind(document, "evaluation"))
    assert isinstance(request, EvaluationRequest)
    _check_other(request, experiment, store, settings.layout)
    _check_fits(request, store.get(experiment))
    storage = settings.layout
    find_checkpoint(storage, experiment, request.checkpoint)
    if request.disagreement is not None:
        find_checkpoint(storage, request.disagreement.against, FINAL)
    if request.dataset is None:
        return request
    resolved = resolve_evaluated(request.dataset, data_roots=settings.data_roots)
    root = getattr(resolved, "root", None)  # of the built-in scenes none
    ours = _classes_of(storage, experiment)
    if ours is not None:
        scored_map(ours, class_names(resolved.name, Path(root or "")), None, request.class_map)
    if root is None:
        return request
    return request.model_copy(update={"dataset": request.dataset.model_copy(update={"root": root})})


def export_of(document: object, experiment: str, storage: Storage) -> ExportRequest:
    """The export that a document asks for; errors as in `evaluation_of`."""
    request = parse_followup(_with_kind(document, "export"))
    assert isinstance(request, ExportRequest)
    find_checkpoint(storage, experiment, request.checkpoint)
    return request


def prediction_of(
    picture: bytes, checkpoint: str, mode: ModeName, experiment: str, storage: Storage
) -> PredictionRequest:
    """The prediction that a picture is sent for.

    Raises:
        BadParameter: `checkpoint` is no word for one.
        BadPicture: it is none that may be labelled, as far as its header tells.
        CheckpointError: the checkpoint is not there; with those that are.
    """
    named = checkpoint_named(checkpoint)
    if named is None:
        got = f"{checkpoint[:80]!r} is refused"
        raise BadParameter((Problem("/query/checkpoint", got, "final, best, last, or an iteration"),))
    header = picture_header(lambda offset, length: picture[offset : offset + length])
    if isinstance(header, Refused):
        raise BadPicture(Problem("", f"a picture {header.of_one}", header.allowed))
    if max(header.size) > _MOST_SIDE:
        height, width = header.size
        allowed = f"at most {_MOST_SIDE:,} pixels a side: cut it into tiles"
        raise BadPicture(Problem("", f"a picture too large ({width}×{height})", allowed))
    find_checkpoint(storage, experiment, named)
    return PredictionRequest(mode=mode, checkpoint=named)


def checkpoint_named(text: str) -> CheckpointName | None:
    """What a word of an address means: `final`, `best`, `last`, `iter_N` or N; None for any other."""
    if re.fullmatch(CHECKPOINT_WORDS, text, re.ASCII) is None:
        return None
    words: tuple[CheckpointName, ...] = (FINAL, BEST, LAST)
    return words[words.index(text)] if text in words else int(text.removeprefix("iter_"))


def _with_kind(document: object, kind: FollowupKind) -> dict[str, Any]:
    """The document, which may leave out what its address says."""
    if not isinstance(document, dict):
        got, allowed = f"{excerpt(document)} is no object", f"an object that describes an {kind}"
        raise SpecError((Problem("", got, allowed),))
    if document.get("kind", kind) != kind:
        raise SpecError((Problem("/kind", f"{excerpt(document['kind'])} is not sent here", f'"{kind}"'),))
    return {**document, "kind": kind}


def _check_fits(request: AnyRequest, row: Experiment) -> None:
    """Raises SpecError where the experiment's model or sizes do not allow what is asked.

    Of a spec that this release cannot read nothing is said here: its job says it.
    """
    try:
        spec = ExperimentSpec.model_validate_json(row.spec)
    except ValidationError:
        return
    problems = problems_for(request, spec)
    if problems:
        raise SpecError(tuple(problems))


def _check_other(request: EvaluationRequest, experiment: str, store: Store, storage: Storage) -> None:
    """Raises SpecError where there is no such other experiment, or it cannot be set beside this one."""
    if request.disagreement is None:
        return
    other, where = request.disagreement.against, "/disagreement/against"
    if other == experiment:
        raise SpecError((Problem(where, f"{other!r} is this experiment", "another experiment"),))
    try:
        row = store.get(other)
    except UnknownExperiment:
        raise SpecError((Problem(where, f"there is no experiment {other!r}", "one that there is"),)) from None
    _check_fits(EvaluationRequest(modes=request.modes[:1]), row)  # in the first mode they are compared
    ours, theirs = _classes_of(storage, experiment), _classes_of(storage, other)
    unlike = None if ours is None or theirs is None else unlike_classes(ours, theirs)
    if unlike is not None:
        raise SpecError((Problem(where, f"{other} {unlike}", "one of the same classes"),))


def _classes_of(storage: Storage, experiment: str) -> list[str] | None:
    """The classes that it was trained on; None where no plan says it: its job will."""
    try:
        found = (newest_plan(storage, experiment) or {})["data"]["classes"]
    except (LookupError, TypeError):
        return None
    return [str(name) for name in found]
