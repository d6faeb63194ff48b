"""/admin/gc: what no rule keeps any longer goes, or is only named."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Depends

from service.api.bodies import JsonBodyDep, json_body
from service.api.dependencies import DeletionDep, PolicyDep
from service.api.entry.guard import administrators
from service.api.problems import documented
from service.api.requests import BadParameter
from service.housekeeping.gc.collect import Collected, collect
from service.housekeeping.gc.doing import Outcome
from service.housekeeping.gc.plan import sums
from service.reconcile.reconciler import utc_now
from service.shared.keeping.gc_schemas import GcItem, GcKind, GcPublic
from service.shared.keeping.retention import GcRequest
from trainer.base.documents import parse_document
from trainer.base.pointers import validated

router = APIRouter(tags=["housekeeping"], dependencies=[Depends(administrators)])

_MOST = 1000  # items of an answer
_BODY = json_body(
    GcRequest,
    {
        "dry run": ("What the policy would take away", {"dry_run": True}),
        "now": (
            "Checkpoints to resume from, of what ended long ago",
            {"older_than": "30d", "only": ["checkpoints"]},
        ),
    },
)


@router.post("/admin/gc", openapi_extra=_BODY, responses=documented(*map(HTTPStatus, (400, 408, 413, 415))))
def gc(body: JsonBodyDep, deletion: DeletionDep, policy: PolicyDep) -> GcPublic:
    """Takes away what is older than the policy keeps it, or than what is asked for; with `dry_run` nothing.

    Nothing of what goes on goes, nor of an experiment with the tag `keep`.
    """
    document = parse_document(body)
    asked = validated(GcRequest, document, BadParameter)
    ages = asked.ages(policy.current().retention.ages())
    return _told(collect(deletion, ages, utc_now(), dry_run=asked.dry_run), asked.dry_run)


def _told(found: Collected, dry_run: bool) -> GcPublic:
    gone = sums(each.action for each in found.outcomes if dry_run or each.done)
    # What could not be done comes first.
    order = sorted(found.outcomes, key=lambda each: (each.trouble is None, -each.action.frees))
    return GcPublic(
        dry_run=dry_run,
        kinds=tuple(GcKind(kind=kind, number=number, bytes=size) for kind, (number, size) in gone.items()),
        bytes=sum(size for _, size in gone.values()),
        items=tuple(map(_item, order[:_MOST])),
        more=found.more,
        trouble=found.trouble,
    )


def _item(outcome: Outcome) -> GcItem:
    action = outcome.action
    return GcItem(
        kind=action.kind,
        path=action.thing.path,
        of=action.thing.of[0] if action.thing.of else None,
        bytes=action.frees,
        reason=action.reason,
        done=outcome.done,
        trouble=outcome.trouble,
    )
