"""The typed client: against the real application, and against answers that are out of order."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator

import httpx
import pytest

from service.client.client import ApiError, ApiUnreachable, RebalanceClient
from service.shared.schemas import ProblemDetail, ProblemItem
from service.shared.states import State
from tests.data_factories import make_report, make_spec, spec_document
from tests.unit.service.served import Service
from trainer.results.report import write_report


@pytest.fixture
def client(service: Service) -> Iterator[RebalanceClient]:
    with RebalanceClient(service.url) as opened:
        yield opened


def _answering(handler: Callable[[httpx.Request], httpx.Response]) -> RebalanceClient:
    return RebalanceClient("http://service", transport=httpx.MockTransport(handler))


def test_submit_takes_a_document_a_spec_or_text(client: RebalanceClient) -> None:
    """All three store the same spec, defaults filled in."""
    document = spec_document(name="three ways")
    ways = (
        document,
        make_spec(name="three ways"),
        '{"name": "three ways", "dataset": "digit_scenes", "model": "small", "method": "baseline"}',
    )
    stored = [client.submit(way) for way in ways]
    assert all(each.state is State.QUEUED and each.spec == stored[0].spec for each in stored)
    assert client.experiment(stored[0].id).name == "three ways"


def test_the_same_key_stores_once_and_another_body_is_refused(client: RebalanceClient) -> None:
    """Idempotency-Key goes out as the header it is."""
    first = client.submit(spec_document(seed=1), idempotency_key="k1")
    assert client.submit(spec_document(seed=1), idempotency_key="k1").id == first.id
    with pytest.raises(ApiError) as caught:
        client.submit(spec_document(seed=2), idempotency_key="k1")
    assert caught.value.status == 409


def test_lists_go_through_all_pages_and_stop_at_the_limit(client: RebalanceClient) -> None:
    """More experiments than a page holds come in one iterator; filters and limit hold."""
    wanted = {client.submit(spec_document(tags={"list": "pages"})).id for _ in range(3)}
    assert {each.id for each in client.experiments(tag=["list:pages"])} == wanted
    assert len(list(client.experiments(tag=["list:pages"], limit=2))) == 2
    assert list(client.experiments(method=["dice"])) == []


def test_pages_are_followed_by_cursor() -> None:
    """Every page but the first is asked for with the cursor of the one before."""
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params.get("cursor"))
        event = {"at": "2026-01-01T00:00:00Z", "attempt": 1, "from": None, "to": "queued", "reason": "stored"}
        following = {None: "a", "a": "b", "b": None}[asked[-1]]
        return httpx.Response(200, json={"items": [event], "next_cursor": following})

    assert len(list(_answering(answer).events("e1"))) == 3
    assert asked == [None, "a", "b"]


def test_a_refused_spec_gives_the_problem_lines(client: RebalanceClient) -> None:
    """Each line names the field by pointer, what was got and what is allowed; the error survives pickling."""
    with pytest.raises(ApiError) as caught:
        client.submit(spec_document(method={"kind": "region_rebalance", "lambda": -0.1}))
    assert caught.value.status == 422
    (line,) = caught.value.lines()
    assert line.startswith("/method/lambda: -0.1")
    assert "allowed: " in line
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.status, again.problem) == (caught.value.status, caught.value.problem)


def test_problem_without_fields_is_one_line() -> None:
    """The detail stands for itself; of what fails for all the title says what that is."""
    assert ApiError(404, ProblemDetail(title="Not found", status=404, detail="no e9")).lines() == ["no e9"]
    away = ProblemDetail(title="Database unavailable", status=503, detail="database is locked")
    assert ApiError(503, away).lines() == ["Database unavailable: database is locked"]
    item = ProblemItem(pointer="", got="a list", allowed="an object")
    problem = ProblemDetail(title="Bad", status=422, detail="", errors=(item,))
    assert ApiError(422, problem).lines() == ["(document): a list; allowed: an object"]


def test_logs_are_read_on_by_offset(client: RebalanceClient, service: Service) -> None:
    """Bytes from the offset, and where to go on."""
    stored = client.submit(spec_document())
    log = service.settings.layout.attempt(stored.id, 1).log.local
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("first é\n")
    piece = client.logs(stored.id)
    assert piece.text == "first é\n"
    assert piece.next_offset == len("first é\n".encode())
    with log.open("a") as stream:
        stream.write("second\n")
    assert client.logs(stored.id, offset=piece.next_offset).content == b"second\n"


def test_report_and_comparison_are_typed(client: RebalanceClient, service: Service) -> None:
    """Reports come back as AttemptReport, their table as Comparison, in the order asked for."""
    ids = [client.submit(spec_document(seed=seed)).id for seed in (0, 1)]
    for each in ids:
        write_report(make_report(each), service.settings.layout.attempt(each, 1).report)
    assert client.report(ids[0]).experiment == ids[0]
    assert [row.experiment for row in client.compare(ids).rows] == ids
    assert client.metrics(ids[0], kind="train").items == ()


def test_cancel_catalogues_and_readiness(client: RebalanceClient) -> None:
    """The rest of the API answers in its types."""
    stored = client.submit(spec_document())
    assert client.cancel(stored.id).cancel_requested_at is not None
    assert "digit_scenes" in {item.name for item in client.datasets()}
    assert "small" in {item.name for item in client.models()}
    assert "region_rebalance" in {item.name for item in client.methods()}
    assert client.ready().status == "ok"


def test_an_unknown_id_is_404_whatever_is_in_it(client: RebalanceClient) -> None:
    """An id is one path segment: slashes and blanks lead nowhere else."""
    for strange in ("none", "../experiments", "a/b?c#d", ""):
        with pytest.raises(ApiError) as caught:
            client.experiment(strange)
        assert caught.value.status == 404


def test_nobody_there() -> None:
    """No answer is its own error, with the address."""
    with (
        RebalanceClient("http://127.0.0.1:9") as client,
        pytest.raises(ApiUnreachable, match=r"127\.0\.0\.1:9"),
    ):
        client.ready()


@pytest.mark.parametrize(
    "address", ["http://[::1", "http://127.0.0.1:99999", "http://a\nb", "nowhere", "ftp://x"]
)
def test_what_is_no_address(address: str) -> None:
    """A mistyped address is said to be one, however it is mistyped."""
    with pytest.raises(ApiUnreachable, match=r"address|no answer"), RebalanceClient(address) as client:
        client.ready()


def test_somebody_else_there() -> None:
    """A page of another server is said to be one, not taken for data; its errors keep their status."""
    with pytest.raises(ApiUnreachable, match="does not answer as this service does"):
        _answering(lambda request: httpx.Response(200, text="<html>hello</html>")).ready()
    with pytest.raises(ApiError, match="502 Bad Gateway"):
        _answering(lambda request: httpx.Response(502, text="<html>gateway</html>")).ready()


def test_follow_ends_with_the_experiment_and_bears_a_restart() -> None:
    """A few looks without an answer are forgiven, more than that are not; the last one seen has ended."""
    template = {
        "id": "e1",
        "name": "n",
        "attempt": 1,
        "spec": {},
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "links": dict.fromkeys(("self", "events", "logs", "metrics", "report", "cancel"), "/"),
    }
    script: list[str | None] = ["queued", None, None, "running", "completed"]

    def answer(request: httpx.Request) -> httpx.Response:
        state = script.pop(0)
        if state is None:
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(200, json={**template, "state": state})

    pauses: list[float] = []
    followed = list(_answering(answer).follow("e1", poll_seconds=7, patience=2, sleep=pauses.append))
    assert [each.state for each in followed] == ["queued", "running", "completed"]
    assert pauses == [7] * 4
    script[:] = ["queued", None, None, None]
    with pytest.raises(ApiUnreachable):
        list(_answering(answer).follow("e1", patience=2, sleep=pauses.append))
