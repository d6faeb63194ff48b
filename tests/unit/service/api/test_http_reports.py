"""/comparisons/report and /sweeps/{id}/report: HTML and figures, drawn again only where they have changed."""

from __future__ import annotations

import threading

import pytest

from service.api.requests import Busy
from service.api.views.report_cache import ReportCache
from tests.data_factories import make_report, scores_of, spec_document
from tests.unit.service.api.test_http_create import check_problem
from tests.unit.service.api.test_http_sweeps import finished, post
from tests.unit.service.conftest import Cluster, TestClient, until
from tests.unit.trainer.figures.studies import RR, two_by_two
from trainer.results.report import write_report


def completed(client: TestClient, cluster: Cluster, **spec: object) -> str:
    """An experiment with a report, taken in."""
    identifier = str(client.post("/experiments", json=spec_document(**spec)).json()["id"])
    cluster.step()
    cluster.backend.run(f"{identifier}-1")
    cluster.step()
    scores = scores_of([[8, 2], [1, 9]])
    report = make_report(identifier, scores=scores, **spec)
    write_report(report, cluster.settings.layout.attempt(identifier, 1).report)
    cluster.step()
    return identifier


def test_a_sweeps_report(client: TestClient, cluster: Cluster) -> None:
    """HTML that may run its own scripts and be framed by this service alone."""
    identifier = finished(client, cluster)
    answer = client.get(f"/sweeps/{identifier}/report")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"] == "frame-ancestors 'self'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert f"Sweep {identifier}" in answer.text
    table = client.get(f"/sweeps/{identifier}/table").json()
    assert f"{table['blocks'][0]['rows'][1]['delta']:+.2f}" in answer.text


@pytest.mark.parametrize(
    ("form", "media", "begin"),
    [
        (None, "image/svg+xml", b"<svg "),
        ("svg", "image/svg+xml", b"<svg "),
        ("png", "image/png", b"\x89PNG"),
        ("csv", "text/csv; charset=utf-8", b"setting,"),
    ],
)
def test_one_figure(client: TestClient, cluster: Cluster, form: str | None, media: str, begin: bytes) -> None:
    """In the form that is asked for; a drawing may run nothing."""
    identifier = finished(client, cluster)
    chosen = {} if form is None else {"format": form}
    answer = client.get(f"/sweeps/{identifier}/report", params={"figure": "seeds", **chosen})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == media
    assert answer.content.startswith(begin)
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_a_comparisons_report(client: TestClient, cluster: Cluster) -> None:
    """Of completed experiments, the first as the reference."""
    ids = ",".join([completed(client, cluster), completed(client, cluster, method=RR)])
    answer = client.get("/comparisons/report", params={"ids": ids})
    assert answer.status_code == 200, answer.text
    assert "Comparison of 2 experiments" in answer.text
    figure = client.get("/comparisons/report", params={"ids": ids, "figure": "figure3", "format": "csv"})
    assert "region_rebalance,baseline,class 0" in figure.text


def test_what_cannot_be_drawn(client: TestClient, cluster: Cluster) -> None:
    """404 for what is not there, with what it would need; 409 before there is a report; 422 for no figure."""
    one = completed(client, cluster)
    check_problem(client.get("/sweeps/swp-0000000000/report"), 404)
    identifier = str(post(client)["id"])
    assert "no trial" in check_problem(client.get(f"/sweeps/{identifier}/report"), 404)["detail"]
    waiting = str(client.post("/experiments", json=spec_document()).json()["id"])
    check_problem(client.get("/comparisons/report", params={"ids": waiting}), 409)
    absent = client.get("/comparisons/report", params={"ids": one, "figure": "figure9"})
    assert "rebalance evaluate" in check_problem(absent, 404)["detail"]
    wrongs = ({"figure": "figure99"}, {"format": "png"}, {"figure": "seeds", "format": "pdf"}, {"ids": ","})
    for wrong in wrongs:
        check_problem(client.get("/comparisons/report", params={"ids": one, **wrong}), 422)


def test_it_is_drawn_once_for_each_state() -> None:
    """The same basis gives the same drawing; another one a new one; an error is kept for nobody."""
    cache, asked = ReportCache(), []

    def study() -> object:
        asked.append(1)
        return two_by_two()

    for basis in (1, 1, 2):
        with cache.drawn("a", basis, study) as drawn:  # type: ignore[arg-type]
            assert "figure3" in drawn.figures
    assert len(asked) == 2

    def broken() -> object:
        raise ValueError

    with pytest.raises(ValueError), cache.drawn("a", 3, broken):  # type: ignore[arg-type]
        pass
    with cache.drawn("a", 2, study) as drawn:  # type: ignore[arg-type]
        assert drawn.page.startswith(b"<!doctype html>")


def test_few_wait_for_a_drawing() -> None:
    """While one is drawn some wait; those beyond are told at once to come again."""
    cache = ReportCache()
    inside, leave = threading.Event(), threading.Event()

    def slow() -> object:
        inside.set()
        assert leave.wait(20)
        return two_by_two()

    def ask() -> None:
        with cache.drawn("a", 1, slow):  # type: ignore[arg-type]
            pass

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        assert inside.wait(20)
        until(lambda: cache._waiting._value == 0)
        with pytest.raises(Busy, match="ask again"), cache.drawn("b", 1, slow):  # type: ignore[arg-type]
            pass
    finally:
        leave.set()
        for thread in threads:
            thread.join()
