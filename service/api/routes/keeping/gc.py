"""/admin/gc: what no rule keeps any longer goes, or is only named."""

from __future__ import annotations

from collections import Counter
from http import HTTPStatus

from fastapi import APIRouter, Depends

from service.api.bodies import JsonBodyDep, json_body
from service.api.dependencies import DeletionDep, PolicyDep
from service.api.entry.guard import administrators
from service.api.problems import documented
from service.api.requests import BadParameter
from service.housekeeping.gc.collect import Collected, Outcome, collect
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


@router.post("/admin/gc", openapi_extra=_BODY, responses=documented(*map(HTTPStatus, (400, 413, 415))))
def gc(body: JsonBodyDep, deletion: DeletionDep, policy: PolicyDep) -> GcPublic:
    """Takes away what is older than the policy keeps it, or than what is asked for; with `dry_run` nothing.

    Nothing of what goes on goes, nor of an experiment with the tag `keep`.
    """
    document = parse_document(body)
    asked = validated(GcRequest, document, BadParameter)
    now = utc_now()
    found = collect(deletion, asked.ages(policy.current().retention.ages()), now, dry_run=asked.dry_run)
    answer = _told(found, asked.dry_run)
    if not asked.dry_run:
        told = ", ".join(f"{each.number} {each.kind}" for each in answer.kinds)
        deletion.store.audit.note(
            "gc", "storage", None, now=now, detail=f"{told or 'nothing'}; {answer.bytes:,} bytes"
        )
    return answer


def _told(found: Collected, dry_run: bool) -> GcPublic:
    gone = [each for each in found.outcomes if dry_run or each.done]
    numbers = Counter(each.action.kind for each in gone)
    sizes: Counter[str] = Counter()
    for each in gone:
        sizes[each.action.kind] += each.action.frees
    # What could not be done comes first.
    order = sorted(found.outcomes, key=lambda each: (each.trouble is None, -each.action.frees))
    return GcPublic(
        dry_run=dry_run,
        kinds=tuple(GcKind(kind=kind, number=numbers[kind], bytes=sizes[kind]) for kind in sorted(numbers)),
        bytes=sum(sizes.values()),
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
