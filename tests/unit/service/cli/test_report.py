"""`rebalance report`: of experiments or a sweep, into a file and a directory, with clear words otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from service.cli.main import main
from service.client import RebalanceClient
from service.reconcile.reconciler import Reconciler, utc_now
from service.store.experiments import Store
from tests.data_factories import make_report, spec_document
from tests.unit.service.served import Service, until
from tests.unit.service.sweep_job import sweep_document
from trainer.base.ends import ExitCode
from trainer.results.report import write_report


def completed(service: Service, **changes: object) -> str:
    """An experiment whose job has left its report."""
    with RebalanceClient(service.url) as client:
        identifier = client.submit(spec_document(**changes)).id
    store = Store(service.settings.database)
    reconciler = Reconciler(store, service.backend, service.settings, runs=None)
    report = make_report(identifier, **changes)
    write_report(report, service.settings.layout.attempt(identifier, 1).report)

    def ended() -> bool:
        reconciler.run_once(utc_now())
        return store.get(identifier).state.ended

    until(ended)
    store.close()
    return identifier


def test_into_a_file_and_a_directory(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page, and each figure three times; what is not drawn is told on stderr."""
    ids = [completed(service), completed(service, method="focal")]
    out, figures = tmp_path / "r.html", tmp_path / "figures"
    words = [*ids, "--out", str(out), "--figures", str(figures), "--json", "--api", service.url]
    assert main(["report", *words]) == ExitCode.DONE
    told = capsys.readouterr()
    answer = json.loads(told.out)
    assert answer["report"] == str(out)
    assert out.read_text().startswith("<!doctype html>")
    assert {Path(name).name for name in answer["figures"]} == {path.name for path in figures.iterdir()}
    assert (figures / "figure3.png").read_bytes().startswith(b"\x89PNG")
    assert "rebalance evaluate" in told.err


def test_the_usual_file(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of one experiment report-ID.html, where one stands; its path is printed."""
    identifier = completed(service)
    monkeypatch.chdir(tmp_path)
    assert main(["report", identifier, "--api", service.url]) == ExitCode.DONE
    assert capsys.readouterr().out.strip() == f"report-{identifier}.html"
    assert (tmp_path / f"report-{identifier}.html").exists()


def test_what_is_refused(service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An id that is nobody's, a sweep without results, a directory that is not there: told, exit code 2."""
    with RebalanceClient(service.url) as client:
        sweep = client.submit_sweep(sweep_document()).id
    cases = {
        ("e-nobody",): "there is no experiment 'e-nobody'",
        (sweep,): "no trial of sweep",
        (completed(service), "--out", str(tmp_path / "no" / "r.html")): "--out: ",
    }
    for words, expected in cases.items():
        assert main(["report", *words, "--api", service.url]) == ExitCode.BAD_INPUT
        assert expected in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
