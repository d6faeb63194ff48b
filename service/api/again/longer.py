"""An experiment that goes on from where another one ended: from what is asked to a row that can be stored."""

from __future__ import annotations

import json
import secrets
from datetime import datetime

from pydantic import Field

from service.shared.settings import Settings
from service.shared.states import State
from service.store.experiments import Store
from service.store.new_rows import new_experiment
from service.store.records import Conflict, Experiment, StoreUnavailable
from trainer.base.errors import CheckpointError, Problem, SpecError
from trainer.base.pointers import validated
from trainer.base.strict_model import StrictModel
from trainer.data.folders import resolve_spec
from trainer.spec.longer.continues import Continues, Rate, share_to_hold
from trainer.spec.spec import ExperimentSpec, parse_spec
from trainer.storage.checkpoints import lend, list_checkpoints
from trainer.storage.layout import Storage

_MOST = 10_000_000  # iterations, as in a spec's schedule


class ExtendRequest(StrictModel):
    """How much longer an experiment is trained, and how its learning rate goes from there."""

    iterations: int = Field(ge=1, le=_MOST, description="So many more.")
    rate: Rate = Field(
        default="rescaled",
        description="`rescaled`: the schedule as if the sum had been asked for from the start; "
        "`constant`: one rate; `rewarmed`: the schedule anew over the further iterations, its warm-up first.",
    )
    learning_rate: float | None = Field(
        default=None,
        gt=0,
        description="The one that `constant` holds; null: the mean over the last tenth of what was trained.",
    )


def parse_extension(document: object) -> ExtendRequest:
    """What a decoded JSON document asks for.

    Raises:
        SpecError: with every problem found.
    """
    request = validated(ExtendRequest, document, SpecError)
    if request.learning_rate is not None and request.rate != "constant":
        got = f"is given, and /rate is {request.rate}: its rates are those of the schedule"
        raise SpecError((Problem("/learning_rate", got, "with /rate constant"),))
    return request


def extension_of(row: Experiment, request: ExtendRequest, settings: Settings, now: datetime) -> Experiment:
    """The experiment that goes on from `row`, not stored yet.

    Raises:
        Conflict: it has not come to an end from which that is possible; with what to do instead.
        CheckpointError: the last checkpoint to go on from is not there; with those that are.
        SpecError: what is asked for cannot be, or the data set is no longer what it was.
    """
    _refuse_state(row)
    iteration = _last_checkpoint(row, settings.layout)
    spec = longer(parse_spec(json.loads(row.spec)), row, iteration, request)
    spec = resolve_spec(spec, data_roots=settings.data_roots, most=settings.max_cluster)
    return new_experiment(secrets.token_hex(6), spec, now)


def longer(spec: ExperimentSpec, row: Experiment, iteration: int, request: ExtendRequest) -> ExperimentSpec:
    """The spec of an experiment that goes on from `iteration` of `row`, which has this spec.

    Raises:
        SpecError: it would be too long, or the rate to be held is none.
    """
    total = iteration + request.iterations
    if total > _MOST:
        got = f"{request.iterations} after {iteration} are {total}"
        raise SpecError((Problem("/iterations", got, f"1 to {_MOST - iteration}"),))
    continues = Continues(
        experiment=row.id,
        iteration=iteration,
        spec_hash=row.spec_hash,
        rate=request.rate,
        held=_held(spec, iteration, request) if request.rate == "constant" else None,
    )
    document = spec.model_dump(mode="json")
    document["schedule"]["iterations"] = total
    return parse_spec({**document, "continues": continues.model_dump(mode="json")})


def _held(spec: ExperimentSpec, iteration: int, request: ExtendRequest) -> float:
    """The share of the learning rate that is held, above 0 and at most 1."""
    top = spec.schedule.learning_rate
    if request.learning_rate is None:
        share = share_to_hold(iteration, spec.schedule, spec.continues)
        if share > 0:
            return share
        wanted = f"a rate of its own in /learning_rate, above 0 and at most {top:g}"
        raise SpecError((Problem("/rate", "constant would hold 0, to which the rate has come", wanted),))
    if request.learning_rate > top:
        got = f"{request.learning_rate:g} is above the schedule's learning_rate"
        raise SpecError((Problem("/learning_rate", got, f"above 0 and at most {top:g}"),))
    return request.learning_rate / top


def refuse_continues(spec: ExperimentSpec, pointer: str = "/continues") -> None:
    """Refuses a spec that somebody sends with what only `extend` writes: its checkpoint would not be there.

    Raises:
        SpecError: at `pointer`.
    """
    if spec.continues is not None:
        wanted = f"POST /experiments/{spec.continues.experiment}/extend, or nothing here"
        raise SpecError((Problem(pointer, "is written by extend alone, beside a checkpoint", wanted),))


def store_extension(store: Store, storage: Storage, new: Experiment, tags: dict[str, str]) -> Experiment:
    """Stores the experiment with the checkpoint that it goes on from: both, or neither.

    Raises:
        CheckpointError: the checkpoint has gone meanwhile. OSError: storage does not answer, or is full.
        StoreUnavailable: perhaps it is stored; its checkpoint stays, and is an orphan where it is not.
    """
    continues = ExperimentSpec.model_validate_json(new.spec).continues
    assert continues is not None
    needed = False
    try:
        lend(storage, continues.experiment, continues.iteration, new.id)
        row = store.create(new, new_tags=tags, reason=f"stored; it {continues}")
        needed = row.id == new.id  # else another request with the key was faster
    except FileNotFoundError:
        raise CheckpointError(_gone(continues.experiment, continues.iteration, storage)) from None
    except StoreUnavailable:
        needed = True  # nobody knows whether it was stored
        raise
    finally:
        if not needed:
            storage.experiment(new.id).delete()
    return row


def has_come_to_an_end(row: Experiment) -> bool:
    """Whether it ended with a training that can go on: its own end, or its sweep's scheduler's."""
    return row.state is State.COMPLETED or row.stopped


def _refuse_state(row: Experiment) -> None:
    """Raises Conflict where `row` did not end with a training that can go on."""
    if has_come_to_an_end(row):
        return
    what = f"experiment {row.id} is {row.state}"
    if row.state.can_be_retried:
        raise Conflict(
            f"{what}: it can be retried, and then goes on to its own end; only what completed is extended"
        )
    raise Conflict(f"{what}; it can be extended once it has completed")


def _last_checkpoint(row: Experiment, storage: Storage) -> int:
    """The iteration of the newest checkpoint to go on from: of one that completed its last."""
    there = [each.iteration for each in list_checkpoints(storage, row.id) if each.to_resume]
    newest = max((each for each in there if each is not None), default=0)
    wanted = newest if row.stopped else int(json.loads(row.spec)["schedule"]["iterations"])
    if newest == 0 or newest != wanted:
        raise CheckpointError(_gone(row.id, wanted, storage))
    return newest


def _gone(experiment: str, iteration: int, storage: Storage) -> str:
    named = f"iter_{iteration}" if iteration else "one to resume from"
    there = ", ".join(each.name for each in list_checkpoints(storage, experiment)) or "none"
    return (
        f"{experiment} cannot be extended: its last training checkpoint, {named}, is gone; there are: {there}"
    )
