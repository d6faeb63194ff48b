"""`rebalance extend`, `sweep extend` and `submit --reuse`, against the application over a fake cluster."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from service.cli.main import main
from service.client import RebalanceClient
from service.reconcile.reconciler import Reconciler, utc_now
from service.store.experiments import Store
from tests.data_factories import make_report, spec_document
from tests.unit.service.checkpoint_files import leave_checkpoints
from tests.unit.service.served import Service, until
from tests.unit.service.sweep_job import SweepJob, sweep_document
from trainer.base.ends import ExitCode
from trainer.results.report import write_report


@pytest.fixture
def completed(service: Service) -> str:
    """An experiment of 1000 iterations with its last checkpoint."""
    with RebalanceClient(service.url) as client:
        identifier = client.submit(spec_document(schedule={"iterations": 1000})).id
    store, layout = Store(service.settings.database), service.settings.layout
    reconciler = Reconciler(store, service.backend, service.settings, runs=None)
    leave_checkpoints(layout, identifier, ("final", "iter_1000"))
    write_report(make_report(identifier), layout.attempt(identifier, 1).report)

    def ended() -> bool:
        reconciler.run_once(utc_now())
        return store.get(identifier).state.ended

    until(ended)
    store.close()
    return identifier


def test_further_iterations(service: Service, completed: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line says how many there are in all; `show` says what it continues; --json is the API's answer."""
    asked = ["extend", completed, "--api", service.url, "--iterations", "500"]
    assert main(asked) == 0
    new, told = capsys.readouterr().out.split("  ", 1)
    assert told.endswith(f": queued, 1500 iterations in all, continues {completed}\n")
    assert main(["show", new, "--api", service.url]) == 0
    assert f"{completed} from iteration 1000, rate rescaled" in capsys.readouterr().out
    held = ["--rate", "constant", "--learning-rate", "0.001", "--json"]
    assert main([*asked, *held]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["continues"], answer["spec"]["continues"]["rate"]) == (completed, "constant")


def test_what_was_asked_for_before(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`submit` says which one it repeats; --reuse answers with that one, and means nothing in a preview."""
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(spec_document(seed=77)))
    asked = ["submit", str(spec), "--api", service.url]
    assert main(asked) == 0
    first = capsys.readouterr().out.split()[0]
    assert main([*asked, "--reuse"]) == 0
    assert capsys.readouterr().out.split()[0] == first
    assert main(asked) == 0
    assert capsys.readouterr().out.endswith(f": queued, the same as {first}\n")
    assert main([*asked, "--reuse", "--validate-only"]) == ExitCode.BAD_INPUT
    assert capsys.readouterr().err.startswith("rebalance: --reuse: --validate-only stores nothing")


def test_what_cannot_be_meant(service: Service, completed: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A flag that is no number is told by the parser, what the service refuses by its field."""
    asked = ["extend", completed, "--api", service.url, "--iterations", "5"]
    for flags in (["--learning-rate", "fast"], ["--rate", "faster"], ["--iterations", "0"]):
        with pytest.raises(SystemExit) as ended:
            main([*asked, *flags])
        assert ended.value.code == ExitCode.BAD_INPUT
    assert "allowed" in capsys.readouterr().err
    assert main([*asked, "--learning-rate", "0.1"]) == ExitCode.BAD_INPUT
    assert capsys.readouterr().err.startswith("/learning_rate: is given, and /rate is rescaled")


@pytest.fixture
def swept(service: Service) -> str:
    """A sweep of four trials that completed."""
    with RebalanceClient(service.url) as client:
        identifier = client.submit_sweep(sweep_document()).id
    store = Store(service.settings.database)
    reconciler = Reconciler(store, service.backend, service.settings, runs=None)
    job = SweepJob.of(service.settings.layout, store.sweeps.get(identifier))
    for number in range(4):
        job.begin(number)
        job.complete(number)
    job.end()

    def ended() -> bool:
        reconciler.run_once(utc_now())
        return store.sweeps.get(identifier).state.ended

    until(ended)
    store.close()
    return identifier


def test_more_trials(service: Service, swept: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Seeds, and values as JSON; the line says how many trials there are in all."""
    asked = ["sweep", "extend", swept, "--api", service.url]
    for flags in (["--axis", "/method/lambda"], ["--axis", "/method/lambda=high"], ["--seeds", "0"]):
        with pytest.raises(SystemExit):
            main([*asked, *flags])
    assert main(asked) == ExitCode.BAD_INPUT
    assert "asks for nothing" in capsys.readouterr().err
    assert main([*asked, "--seed", "0", "--seed", "7"]) == ExitCode.BAD_INPUT
    assert capsys.readouterr().err.startswith("/seeds/0: 0 is there already")
    axis = ("--axis", "/method/lambda=0.5", "--axis", "/method/lambda=1.0")
    assert main([*asked, "--seeds", "1", *axis]) == 0
    assert capsys.readouterr().out == f"{swept}  lambda: queued, 12 trials in all\n"
