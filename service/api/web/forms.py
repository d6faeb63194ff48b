"""Forms that pages send: read, bounded, and proven to be ours before anybody looks into them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from service.api.bodies import body_of, declared_type
from service.api.entry.owners import owners
from service.api.entry.sessions import FORM_HEADER, FORM_TOKEN, refuse_foreign
from service.api.requests import BODY_LIMIT_BYTES, NotForm, document_hash
from trainer.base.documents import MalformedDocument

_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 100
ONCE = "once"  # the field that is drawn anew with each form


async def _own_form(request: Request) -> Mapping[str, str]:
    """The fields by name, without the proof; of one that came twice the last.

    Raises:
        ForeignForm: it was not sent from one of our pages, in this session.
        NotYours: it is to change what is others'; and what else `owners` raises.
        NotForm, BodyTooLarge, BodyTooSlow, MalformedDocument: it is no form that a page sends.
    """
    kind = declared_type(request)
    if kind not in (_FORM, ""):
        raise NotForm(f"the body came with {kind[:100]!r}; send the form from its page")
    text = await body_of(request, BODY_LIMIT_BYTES)
    try:
        fields = parse_qsl(
            text.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
        )
    except ValueError as error:
        raise MalformedDocument(f"no form that a page of this service sends: {error}") from None
    sent = dict(fields)
    refuse_foreign(request, request.headers.get(FORM_HEADER) or sent.pop(FORM_TOKEN, ""))
    await owners(request)  # only now: who sends a form that is none of ours learns nothing of whose it is
    sent.pop(FORM_TOKEN, None)
    return sent


def once(sent: Mapping[str, str], document: object) -> str | None:
    """The idempotency key of a form that came with one: sent again as it is, it stores nothing more; changed,
    it does.
    """
    if not sent.get(ONCE):
        return None
    return hashlib.sha256(f"{sent[ONCE]} {document_hash(document)}".encode()).hexdigest()


OWN_FORM = Depends(_own_form)  # of every route that changes something
FormDep = Annotated[Mapping[str, str], OWN_FORM]
