"""GET /sweeps/{id}/table: in which form it comes, and that it is made again only where it has changed."""

from __future__ import annotations

from typing import Any

import pytest

from service.api.negotiation import accepted
from service.api.requests import NotAcceptable
from tests.unit.service.api.test_http_create import check_problem
from tests.unit.service.api.test_http_sweeps import finished, post
from tests.unit.service.conftest import Cluster, TestClient

JSON, MARKDOWN, CSV, TEX = "application/json", "text/markdown", "text/csv", "application/x-tex"


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", JSON),
        (" , ", JSON),
        ("*/*", JSON),
        (TEX, TEX),
        ("TEXT/CSV", CSV),
        ("application/json;q=0.1, text/csv;q=0.9", CSV),
        ("text/csv;q=0.1, application/json;q=0.9", JSON),
        ("text/csv;q=0.5, */*;q=0.1", CSV),
        ("text/html, application/xml;q=0.9, */*;q=0.8", JSON),
        ("text/markdown, text/csv", MARKDOWN),
        ("text/csv, text/markdown", CSV),
        ("text/*", MARKDOWN),
        ("text/markdown;q=0, text/*", CSV),
        ("*/*, application/json;q=0", MARKDOWN),
        ("text/*;q=0.3, application/x-tex;q=0.2", MARKDOWN),
        ("text/csv; charset=utf-8 ; q=0.7, application/json;q=0.70", CSV),
        ("text/csv;q=nan, application/json;q=0.9", CSV),
        ("text/csv;q=0.2, text/csv, application/json;q=0.9", JSON),
    ],
)
def test_what_accept_likes_best(accept: str, media: str) -> None:
    """The heaviest, of equals the first named; what names more goes before what names less."""
    assert accepted(accept, (JSON, MARKDOWN, CSV, TEX)) == media


@pytest.mark.parametrize(
    "accept", ["image/png", "application/json;q=0", "*/*;q=0.0", "text/html, text/plain"]
)
def test_what_accept_refuses(accept: str) -> None:
    """None of ours fits; the message names them."""
    with pytest.raises(NotAcceptable, match="text/markdown"):
        accepted(accept, (JSON, MARKDOWN, CSV, TEX))


def test_another_form_is_406(client: TestClient, cluster: Cluster) -> None:
    """As a problem document; `?format` goes before it, and a sweep that is not there is 404 all the same."""
    identifier = finished(client, cluster)
    headers = {"Accept": "image/png"}
    problem = check_problem(client.get(f"/sweeps/{identifier}/table", headers=headers), 406)
    assert "text/csv" in problem["detail"]
    assert client.get(f"/sweeps/{identifier}/table?format=csv", headers=headers).status_code == 200
    check_problem(client.get("/sweeps/nobody/table", headers=headers), 404)
    operation = client.get("/openapi.json").json()["paths"]["/sweeps/{sweep_id}/table"]["get"]
    assert "406" in operation["responses"]


def seeds_of(client: TestClient, identifier: str) -> list[list[int]]:
    """The seeds that count, row by row."""
    rows: list[dict[str, Any]] = client.get(f"/sweeps/{identifier}/table").json()["blocks"][0]["rows"]
    return [row["seeds"] for row in rows]


def test_reports_are_read_once(client: TestClient, cluster: Cluster) -> None:
    """As long as no trial moves, the table needs no storage; when one does, all is read again."""
    identifier = post(client)["id"]
    job = cluster.job(identifier)
    job.complete(0)
    job.begin(1)
    cluster.step()
    assert seeds_of(client, identifier) == [[0], []]
    report = job.storage.attempt(job.id(0), 1).report.local
    report.rename(report.with_suffix(".away"))
    assert seeds_of(client, identifier) == [[0], []]
    job.complete(1)
    cluster.step()
    assert seeds_of(client, identifier) == [[], [0]]
    report.with_suffix(".away").rename(report)
    assert seeds_of(client, identifier) == [[0], [0]], "a table that lacked a report is not kept"


def test_a_detached_trial_counts_at_once(client: TestClient, cluster: Cluster) -> None:
    """The table changes with the trial's row, also long after the sweep has ended."""
    identifier = post(client)["id"]
    job = cluster.job(identifier)
    job.fail(0)
    for number in (1, 2, 3):
        job.complete(number)
    job.end()
    cluster.step()
    assert seeds_of(client, identifier) == [[1], [0, 1]]
    client.post(f"/experiments/{job.id(0)}/retry")
    assert seeds_of(client, identifier) == [[1], [0, 1]]
    cluster.step()
    cluster.backend.run(f"{job.id(0)}-2")
    job.complete(0, 2)
    cluster.step()
    assert seeds_of(client, identifier) == [[0, 1], [0, 1]]


def test_a_report_that_is_none(client: TestClient, cluster: Cluster) -> None:
    """Its trial counts as one without a result, as in the job's own table; the others stand."""
    identifier = finished(client, cluster)
    report = cluster.settings.layout.attempt(f"{identifier}-0000", 1).report.local
    report.write_bytes(b"\xff")
    assert seeds_of(client, identifier) == [[1], [0, 1]]


def test_a_limit_that_was_reached(client: TestClient, cluster: Cluster) -> None:
    """Said under the table and by the sweep's last event once it has ended, whoever asked before."""
    limit = "not all trials were begun: 1e-09 seconds have passed"
    identifier = str(post(client, limits={"seconds": 1e-9})["id"])

    def notes() -> list[str]:
        return list(client.get(f"/sweeps/{identifier}/table").json()["notes"])

    cluster.step()
    assert limit not in notes()
    cluster.job(identifier).end(limit=limit)
    cluster.step()
    assert limit in notes()
    events = client.get(f"/sweeps/{identifier}/events").json()
    last = (events["items"] if isinstance(events, dict) else events)[-1]
    assert last["reason"] == f"report: the sweep came to its end; {limit}"


@pytest.mark.slow
def test_few_tables_are_kept(client: TestClient, cluster: Cluster) -> None:
    """Of many sweeps the table asked for longest ago is made again."""
    identifiers = [finished(client, cluster) for _ in range(9)]
    for identifier in identifiers:
        assert seeds_of(client, identifier) == [[0, 1], [0, 1]]
    for identifier in identifiers:
        for number in range(4):
            cluster.settings.layout.attempt(f"{identifier}-{number:04d}", 1).report.delete()
    assert seeds_of(client, identifiers[-1]) == [[0, 1], [0, 1]]
    assert seeds_of(client, identifiers[0]) == [[], []]
