"""What each of our errors is answered with: the only file that knows status codes of errors."""

from __future__ import annotations

from http import HTTPStatus
from typing import NamedTuple

from service.api.requests import (
    BadParameter,
    BadPicture,
    BodyTooLarge,
    BodyTooSlow,
    Busy,
    ForeignForm,
    InvalidToken,
    NoPicture,
    NotAcceptable,
    NotForm,
    NothingThere,
    NotJson,
    NoToken,
    NotPicture,
    NotYours,
    QueueFull,
    ScopeTooSmall,
    TooOften,
    UnknownRecipe,
)
from service.reconcile.cluster import BackendUnreachable
from service.store.records import (
    BadCursor,
    BadKey,
    Conflict,
    KeyReused,
    NoReport,
    NothingSent,
    StoreUnavailable,
    UnknownExperiment,
    UnknownFollowup,
    UnknownSweep,
)
from service.store.tokens import UnknownToken
from trainer.base.documents import MalformedDocument
from trainer.base.errors import (
    CheckpointError,
    ComparisonError,
    DataError,
    RegionRebalanceError,
    ReportError,
    SpecError,
)


class Answer(NamedTuple):
    """The status of an error, and the title of its problem document."""

    status: HTTPStatus
    title: str


ANSWERS: dict[type[RegionRebalanceError], Answer] = {
    BadCursor: Answer(HTTPStatus.BAD_REQUEST, "Unknown cursor"),
    BadKey: Answer(HTTPStatus.BAD_REQUEST, "Invalid Idempotency-Key"),
    MalformedDocument: Answer(HTTPStatus.BAD_REQUEST, "Malformed JSON"),
    NoToken: Answer(HTTPStatus.UNAUTHORIZED, "A token is needed"),
    InvalidToken: Answer(HTTPStatus.UNAUTHORIZED, "Not a token that counts"),
    ScopeTooSmall: Answer(HTTPStatus.FORBIDDEN, "Not with this token"),
    NotYours: Answer(HTTPStatus.FORBIDDEN, "Somebody else's"),
    ForeignForm: Answer(HTTPStatus.FORBIDDEN, "Not a form of this page"),
    UnknownExperiment: Answer(HTTPStatus.NOT_FOUND, "No such experiment"),
    UnknownSweep: Answer(HTTPStatus.NOT_FOUND, "No such sweep"),
    UnknownFollowup: Answer(HTTPStatus.NOT_FOUND, "No such follow-up"),
    UnknownToken: Answer(HTTPStatus.NOT_FOUND, "No such token"),
    UnknownRecipe: Answer(HTTPStatus.NOT_FOUND, "No such recipe"),
    NoReport: Answer(HTTPStatus.NOT_FOUND, "No report yet"),
    NothingSent: Answer(HTTPStatus.NOT_FOUND, "Nothing was sent"),
    NothingThere: Answer(HTTPStatus.NOT_FOUND, "Nothing there"),
    NotAcceptable: Answer(HTTPStatus.NOT_ACCEPTABLE, "Not in this form"),
    BodyTooSlow: Answer(HTTPStatus.REQUEST_TIMEOUT, "Body too slow"),
    Conflict: Answer(HTTPStatus.CONFLICT, "Too late"),
    KeyReused: Answer(HTTPStatus.CONFLICT, "Idempotency-Key used before with another body"),
    CheckpointError: Answer(HTTPStatus.CONFLICT, "No such checkpoint"),
    NoPicture: Answer(HTTPStatus.CONFLICT, "No picture"),
    ComparisonError: Answer(HTTPStatus.CONFLICT, "These experiments cannot be compared"),
    ReportError: Answer(HTTPStatus.CONFLICT, "Unreadable report"),
    BodyTooLarge: Answer(HTTPStatus(413), "Body too large"),  # its name changed in Python 3.13
    NotJson: Answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Not JSON"),
    NotPicture: Answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Not a picture"),
    NotForm: Answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Not a form"),
    SpecError: Answer(HTTPStatus(422), "Invalid spec"),
    DataError: Answer(HTTPStatus(422), "Unusable data"),
    BadParameter: Answer(HTTPStatus(422), "Invalid parameter"),
    BadPicture: Answer(HTTPStatus(422), "Unusable picture"),
    TooOften: Answer(HTTPStatus.TOO_MANY_REQUESTS, "Too many requests"),
    QueueFull: Answer(HTTPStatus.SERVICE_UNAVAILABLE, "The queue is full"),
    StoreUnavailable: Answer(HTTPStatus.SERVICE_UNAVAILABLE, "Database unavailable"),
    BackendUnreachable: Answer(HTTPStatus.SERVICE_UNAVAILABLE, "Cluster unreachable"),
    Busy: Answer(HTTPStatus.SERVICE_UNAVAILABLE, "Busy"),
}
# RFC 6750, section 3: how a client is told that it must show a token, or another one.
CHALLENGES: dict[type[RegionRebalanceError], str] = {
    NoToken: 'Bearer realm="region-rebalance"',
    InvalidToken: 'Bearer realm="region-rebalance", error="invalid_token"',
    ScopeTooSmall: 'Bearer realm="region-rebalance", error="insufficient_scope"',
}
