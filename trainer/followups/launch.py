"""A follow-up on the cluster: one worker in an actor, several as the ranks of one group."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from trainer.base.data_roots import DataRoot
from trainer.followups.attempt import FollowupAttempt, Outcome
from trainer.followups.prepare import make_followup_plan
from trainer.followups.worker import rank, work
from trainer.run.actor import in_actor
from trainer.run.cluster import require_nodes, require_room
from trainer.run.launch import under_ray_train
from trainer.run.near_data import near_data
from trainer.run.reported import say
from trainer.spec.recipes import Machines


def run_followup(
    attempt: FollowupAttempt, *, data_roots: Sequence[DataRoot] | None, most: Machines | None = None
) -> Outcome:
    """Prepares a follow-up and does it, on the cluster that this process is connected to.

    Raises: see `make_followup_plan`, `near_data`, `in_actor`, `under_ray_train`.
    """
    attempt.task.dir.folder.clear_unfinished()  # an export may be as large as its model, several times
    look = partial(make_followup_plan, attempt.task, data_roots=data_roots, say=say)
    plan = near_data(look, most=most, waits=attempt.waits)
    attempt.dir.plan.write(plan.model_dump_json(indent=1) + "\n")
    require_nodes(plan.resources, most, waits=attempt.waits)
    require_room(plan.resources, waits=attempt.waits)
    attempt.mark("plan")
    text = plan.model_dump_json()
    outcome: Outcome
    if plan.resources.workers == 1:
        outcome = in_actor(work, plan.resources, text)
    else:
        outcome = under_ray_train(rank, text, plan.resources, attempt.dir)
    attempt.mark("work")
    return outcome
