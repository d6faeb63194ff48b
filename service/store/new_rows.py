"""What was asked for as rows to store: a grid's trials all at once, one by one where a search draws them."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from service.shared.followup_ids import PREFIXES
from service.shared.queue.demands import demand_of, demand_of_followup, demand_of_sweep
from service.shared.states import State
from service.store.records import Experiment, Followup, Sweep, Tagged
from sweeps.document.same import sweep_hash
from sweeps.document.spec import SweepSpec
from trainer.base.errors import SpecError
from trainer.spec.followups import AnyRequest
from trainer.spec.spec import ExperimentSpec, canonical_json, parse_spec, spec_hash
from trainer.storage.directories import trial_id
from trainer.storage.layout import Storage

log = logging.getLogger(__name__)

_LONGEST_LABEL = 100  # of a model, as the table has it


def new_experiment(identifier: str, spec: ExperimentSpec, now: datetime) -> Experiment:
    """A queued experiment that is not stored yet."""
    return Experiment(
        id=identifier,
        name=spec.name,
        state=State.QUEUED,
        attempt=1,
        spec=canonical_json(spec),
        spec_hash=spec_hash(spec),
        dataset=spec.dataset.name,
        model=spec.model.label[:_LONGEST_LABEL],
        method=spec.method.kind,
        created_at=now,
        updated_at=now,
        queued_at=now,
        continues=None if spec.continues is None else spec.continues.experiment,
        **demand_of(spec),
    )


def new_sweep(
    spec: SweepSpec,
    *,
    now: datetime,
    key: str | None,
    request_hash: str,
    trials: Sequence[ExperimentSpec] = (),
    owner: str | None = None,
    sent: str | None = None,
) -> Sweep:
    """A queued sweep that is not stored yet; `trials` as far as they are known."""
    return Sweep(
        id=f"swp-{secrets.token_hex(5)}",
        name=spec.name,
        state=State.QUEUED,
        attempt=1,
        spec=spec.model_dump_json(),  # keys as given: trials are numbered in the order of the variants
        created_at=now,
        updated_at=now,
        idempotency_key=key,
        request_hash=request_hash,
        queued_at=now,
        owner=owner,
        sent=sent,
        spec_hash=sweep_hash(spec),
        **demand_of_sweep(spec, trials),
    )


def new_followup(
    experiment: str,
    request: AnyRequest,
    *,
    now: datetime,
    key: str | None,
    request_hash: str,
    trained: ExperimentSpec | None = None,
    owner: str | None = None,
) -> Followup:
    """A queued follow-up that is not stored yet; `trained` is its experiment's spec, if it can be read."""
    identifier = f"{PREFIXES[request.kind]}-{secrets.token_hex(5)}"
    return Followup(
        id=identifier,
        name=f"{request.kind} of {experiment}",
        state=State.QUEUED,
        attempt=1,
        spec=request.model_dump_json(),
        created_at=now,
        updated_at=now,
        idempotency_key=key,
        request_hash=request_hash,
        experiment_id=experiment,
        kind=request.kind,
        queued_at=now,
        owner=owner,
        **({} if trained is None else demand_of_followup(request, trained)),
    )


def trial_row(sweep: Sweep, number: int, row: str, spec: ExperimentSpec, now: datetime) -> Experiment:
    """A queued trial that is not stored yet; should it ever wait by itself, it is its sweep's user's."""
    new = new_experiment(trial_id(sweep.id, number), spec, now)
    whose = {name: getattr(sweep, name) for name in ("owner", "project", "priority", "preemptible")}
    return replace(new, sweep_id=sweep.id, trial=number, trial_row=row, **whose)


def drawn_trial(storage: Storage, sweep: Sweep, number: int, now: datetime) -> Tagged | None:
    """A trial that the sweep's job has begun and nobody stored, from trials/NNNN.json; None if it is none."""
    file = storage.sweep(sweep.id).trial(number)
    try:
        found = json.loads(file.read_text())
        spec = parse_spec(found["spec"])
        return trial_row(sweep, number, str(found["row"]), spec, now), spec.tags
    except (ValueError, KeyError, TypeError, SpecError) as error:
        log.warning("unreadable trial", extra={"sweep": sweep.id, "trial": number, "reason": str(error)})
        return None
