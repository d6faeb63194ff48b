"""What a request may be, and how it is told from another; how its JSON is read: `trainer.base.documents`."""

from __future__ import annotations

import hashlib
import json

from trainer.base.errors import Problem, RegionRebalanceError

BODY_LIMIT_BYTES = 1_000_000  # a body must be smaller


class BodyTooLarge(RegionRebalanceError):
    """The body is not below the limit, which is the argument, in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class BodyTooSlow(RegionRebalanceError):
    """So many bytes of the body had come after the seconds that one has, and it was given up."""

    def __init__(self, received: int, seconds: float) -> None:
        super().__init__(received, seconds)
        self.received = received
        self.seconds = seconds

    def __str__(self) -> str:
        return (
            f"of the body {self.received:,} bytes had come when its time was over: {self.seconds:.0f} s, "
            "and a second more for each 10 kB"
        )


class NotJson(RegionRebalanceError):
    """The body is declared as something that is not JSON, or as nothing; the message is that type."""


class NotForm(RegionRebalanceError):
    """The body is declared as something that is no form; the message says as what."""


class ForeignForm(RegionRebalanceError):
    """A form that was not sent by one of our pages in this session; the message says what to do."""


class NotPicture(RegionRebalanceError):
    """The body is declared as something that is no PNG or JPEG; the message is that type."""


class BadPicture(RegionRebalanceError):
    """The body is no picture that may be labelled; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


class TooOften(RegionRebalanceError):
    """The caller has sent more `what` than is allowed; it may again after `retry_after_seconds`."""

    def __init__(self, what: str, retry_after_seconds: int) -> None:
        super().__init__(what, retry_after_seconds)
        self.what = what
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        return f"too many {self.what} of one caller; again in {self.retry_after_seconds} s"


class QueueFull(RegionRebalanceError):
    """So much waits already that nothing more is taken for a while; the message says how much."""


class NothingThere(RegionRebalanceError):
    """What has this name was never made, or is gone; the message says which there are."""


class NoPicture(RegionRebalanceError):
    """A prediction came to no picture; the message says why."""


class Busy(RegionRebalanceError):
    """Too many ask for the same at once; the message says what for, and to come again."""


class NotAcceptable(RegionRebalanceError):
    """The answer exists in none of the forms that Accept names; the message says which there are."""


class BadParameter(RegionRebalanceError):
    """Parameters of the query (each as /query/NAME), or fields of a small body, that mean nothing."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems

    def __reduce__(self) -> tuple[type[BadParameter], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


class NoToken(RegionRebalanceError):
    """A token is needed, and none came with the request. No message says anything of one that did."""


class InvalidToken(NoToken):
    """What came is no token, or one that does not count; the message says which."""


class ScopeTooSmall(RegionRebalanceError):
    """The token is valid, and may not do this; the message names the scope that is needed."""


class NotYours(RegionRebalanceError):
    """It is somebody else's; the message says whose, and who may change it."""


class UnknownRecipe(RegionRebalanceError):
    """There is no recipe of this name."""


def document_hash(document: object) -> str:
    """SHA-256 over the document, blanks and order of keys aside."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
