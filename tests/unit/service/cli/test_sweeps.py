"""`rebalance sweep …`, `retry` and `reproduce`, and the client under them, over a fake cluster."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from service.cli.main import main
from service.cli.tables.sweeps import SweepView, print_results, print_sweep, sweeps_table
from service.client import RebalanceClient
from service.client.http import ApiError
from service.reconcile.reconciler import Reconciler, utc_now
from service.shared.schemas import ErrorPublic
from service.shared.states import State
from service.shared.sweep_schemas import SweepLinks, SweepPublic, TrialCounts, TrialPublic
from service.store.experiments import Store
from sweeps.document.presets import PRESETS
from sweeps.document.spec import parse_sweep
from sweeps.results.table import make_table
from sweeps.results.table_of_sweep import entry_of, sweep_table
from tests.data_factories import make_report, scores_of
from tests.unit.service.cli.test_cli import HEAVY
from tests.unit.service.served import Service, until
from tests.unit.service.sweep_job import SweepJob, sweep_document
from trainer.base.ends import ExitCode

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Engine:
    """The reconciler's passes and the sweep's job, played by the test."""

    service: Service
    store: Store

    def step(self) -> None:
        settings = self.service.settings
        Reconciler(self.store, self.service.backend, settings).run_once(utc_now() + timedelta(minutes=1))

    def job(self, sweep: str) -> SweepJob:
        """The sweep's job, running."""
        until(lambda: f"{sweep}-1" in self.service.backend.jobs or self.step())
        self.service.backend.run(f"{sweep}-1")
        self.step()
        return SweepJob.of(self.service.settings.layout, self.store.sweeps.get(sweep))

    def complete(self, sweep: str) -> None:
        """Every trial with a result, and the sweep's report."""
        job = self.job(sweep)
        for trial in range(len(self.store.trials(sweep))):
            job.complete(trial, tp=40 + 5 * trial)
        job.end()
        until(lambda: self.step() or self.store.sweeps.get(sweep).state.ended)


@pytest.fixture
def engine(service: Service) -> Iterator[Engine]:
    store = Store(service.settings.database)
    yield Engine(service, store)
    store.close()


@pytest.fixture
def client(service: Service) -> Iterator[RebalanceClient]:
    with RebalanceClient(service.url) as opened:
        yield opened


@pytest.fixture
def spec_file(tmp_path: Path) -> Path:
    path = tmp_path / "sweep.json"
    path.write_text(json.dumps(sweep_document()))
    return path


def run(service: Service, *arguments: str) -> int:
    command, *rest = arguments
    at = 2 if command == "sweep" else 1
    return main([*arguments[:at], "--api", service.url, *rest[at - 1 :]])


def test_the_clients_methods(client: RebalanceClient, engine: Engine) -> None:
    """Every route has its method, and answers are typed."""
    preview = client.preview_sweep(sweep_document())
    assert preview.cost.trials == len(preview.trials) == 4
    stored = client.submit_sweep(parse_sweep(sweep_document()), idempotency_key="client")
    assert client.submit_sweep(parse_sweep(sweep_document()), idempotency_key="client").id == stored.id
    assert client.pause_sweep(stored.id).paused
    assert not client.resume_sweep(stored.id).paused
    assert stored.id in [each.id for each in client.sweeps(state=["queued", "submitted"])]
    engine.complete(stored.id)
    sweep = client.sweep(stored.id, trials=2)
    assert (sweep.state, len(sweep.trials or ())) == (State.COMPLETED, 2)
    assert [event.to_state for event in client.sweep_events(stored.id)][-1] is State.COMPLETED
    assert client.sweep_table(stored.id).reference == "lambda=0"
    assert client.sweep_table_text(stored.id, "csv").startswith("mode,row,")
    assert len(list(client.experiments(sweep=[stored.id]))) == 4
    with pytest.raises(ApiError) as caught:
        client.cancel_sweep(stored.id)
    assert caught.value.status == 409
    with pytest.raises(ApiError):
        client.retry(f"{stored.id}-0000")


def test_follow_ends_with_the_sweep(client: RebalanceClient, engine: Engine) -> None:
    """The last one seen has ended."""
    stored = client.submit_sweep(sweep_document())
    looks: list[str] = []

    def sleep(_: float) -> None:
        if not looks:
            engine.complete(stored.id)
        looks.append("slept")

    followed = list(client.follow_sweep(stored.id, sleep=sleep))
    assert followed[-1].state is State.COMPLETED
    assert followed[0].state is not State.COMPLETED


def test_submit_and_show(
    service: Service, spec_file: Path, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was stored, then how it stands with its trials; its experiments by --sweep."""
    assert run(service, "sweep", "submit", str(spec_file)) == 0
    out = capsys.readouterr().out
    identifier = out.split()[0]
    assert "4 trials" in out
    engine.complete(identifier)
    assert run(service, "sweep", "show", identifier) == 0
    out = capsys.readouterr().out
    assert "4 of 4 trials completed" in out
    assert f"{identifier}-0003" in out
    assert run(service, "sweep", "list") == 0
    assert identifier in capsys.readouterr().out
    assert run(service, "list", "--sweep", identifier, "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["items"]) == 4
    assert run(service, "sweep", "show", identifier, "--json") == 0
    assert json.loads(capsys.readouterr().out)["counts"]["completed"] == 4


def test_validate_only(service: Service, spec_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The trials and the cost; nothing is stored."""
    before = capsys.readouterr()
    del before
    assert run(service, "sweep", "submit", str(spec_file), "--validate-only") == 0
    out = capsys.readouterr().out
    assert out.count("lambda=0.3") == 2
    assert "4 trials, 4,000 iterations" in out
    assert run(service, "sweep", "submit", str(spec_file), "--validate-only", "--json") == 0
    assert json.loads(capsys.readouterr().out)["cost"]["trials"] == 4


def test_bad_sweeps_are_told_by_pointer(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the API says it, with the exit code of bad input."""
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(sweep_document(axes=[{"pointer": "/method/lamda", "grid": [0]}])))
    assert run(service, "sweep", "submit", str(path)) == ExitCode.BAD_INPUT
    assert capsys.readouterr().err.startswith("/axes/0/pointer: /method/lamda is not a field")


def test_tables(service: Service, client: RebalanceClient, engine: Engine, capsys: Any) -> None:
    """In the terminal, and in every form for a file."""
    identifier = client.submit_sweep(sweep_document()).id
    engine.complete(identifier)
    assert run(service, "sweep", "table", identifier, "--classes") == 0
    out = capsys.readouterr().out
    assert "lambda=0.3" in out
    assert "±" in out
    assert "class 1" in out
    for form, text in (("markdown", "| lambda=0.3 |"), ("latex", r"\toprule"), ("csv", "single_scale")):
        assert run(service, "sweep", "table", identifier, "--format", form) == 0
        assert text in capsys.readouterr().out
    assert run(service, "sweep", "table", identifier, "--json") == 0
    assert json.loads(capsys.readouterr().out)["metric"] == "mIoU"


def test_pause_resume_cancel(service: Service, client: RebalanceClient, capsys: Any) -> None:
    """Each says what it asked for."""
    identifier = client.submit_sweep(sweep_document()).id
    for action, text in (("pause", "paused"), ("resume", "goes on"), ("cancel", "cancel requested")):
        assert run(service, "sweep", action, identifier) == 0
        assert text in capsys.readouterr().out


def test_retry(service: Service, client: RebalanceClient, engine: Engine, capsys: Any) -> None:
    """A trial that failed, queued again in its second attempt."""
    identifier = client.submit_sweep(sweep_document()).id
    job = engine.job(identifier)
    job.fail(0)
    engine.step()
    assert run(service, "retry", job.id(0)) == 0
    assert "queued, attempt 2" in capsys.readouterr().out
    assert run(service, "retry", job.id(1)) == ExitCode.BAD_INPUT


@pytest.mark.slow
def test_reproduce_waits_and_prints_both_numbers(service: Service, engine: Engine, capsys: Any) -> None:
    """Ours beside the paper's, labelled as what they are; tagged, so that the table finds them again."""

    def play() -> None:
        with RebalanceClient(service.url) as api:
            found = until(
                lambda: [each for each in api.sweeps() if each.spec["tags"] == {"preset": "table6"}]
            )
            engine.complete(found[0].id)

    player = threading.Thread(target=play)
    player.start()
    options = ("--dataset", "digit_scenes", "--model", "small", "--seeds", "2", "--iterations", "7")
    assert run(service, "reproduce", "table6", *options, "--format", "markdown") == 0
    player.join()
    captured = capsys.readouterr()
    assert str(PRESETS["table6"].published["Dice"]) in captured.out
    assert "another data set" in captured.out
    assert "7 iterations" in captured.out
    assert "8 trials" in captured.err


def test_reproduce_only_asks(service: Service, client: RebalanceClient, capsys: Any) -> None:
    """--validate-only lists the trials and stores nothing."""
    options = ("--dataset", "digit_scenes", "--model", "small", "--seeds", "1", "--validate-only")
    before = [each.id for each in client.sweeps()]
    assert run(service, "reproduce", "table6", *options) == 0
    assert "4 trials" in capsys.readouterr().out
    assert [each.id for each in client.sweeps()] == before


def test_an_unknown_preset(service: Service, capsys: Any) -> None:
    """The names that there are."""
    options = ("--dataset", "digit_scenes", "--model", "small")
    assert run(service, "reproduce", "table99", *options) == ExitCode.BAD_INPUT
    assert "table1, table2" in capsys.readouterr().err


def test_waiting_for_a_sweep_that_fails(service: Service, client: RebalanceClient, engine: Engine) -> None:
    """Exit code 1 where a trial failed, though the sweep completed."""
    identifier = client.submit_sweep(sweep_document(seeds=[0])).id
    job = engine.job(identifier)
    job.complete(0)
    job.fail(1)
    job.end()
    until(lambda: engine.step() or engine.store.sweeps.get(identifier).state.ended)
    assert run(service, "sweep", "watch", identifier) == ExitCode.FAILED


def test_a_list_of_sweeps_loads_nothing_heavy() -> None:
    """The command line stays fast: no numpy, no database, no server."""
    code = (
        "import sys, service.cli.main, service.cli.sweeps, service.cli.tables.sweeps;"
        "import service.shared.sweep_schemas;"
        "print(*(name.split('.')[0] for name in sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(loaded.stdout.split())


def _trial(number: int, **changes: Any) -> TrialPublic:
    fields: dict[str, Any] = {"number": number, "experiment": f"s-{number:04d}", "row": "λ=0.3", "seed": 1}
    return TrialPublic(**{**fields, "state": State.RUNNING, **changes})


def _sweep(state: State, **changes: Any) -> SweepPublic:
    links = dict.fromkeys(("self", "events", "table", "experiments", "cancel", "pause", "resume"), "/")
    fields: dict[str, Any] = {
        "id": "swp-1",
        "name": "n [x]",
        "state": state,
        "paused": False,
        "attempt": 1,
        "spec": {"metric": "mIoU"},
        "created_at": NOW,
        "updated_at": NOW,
        "counts": TrialCounts(total=4),
        "links": SweepLinks(**links),
    }
    return SweepPublic(**(fields | changes))


def test_live_progress_in_a_file_is_a_line_for_each_change() -> None:
    """Counts, and the best so far."""
    out = io.StringIO()
    best = _trial(1, state=State.COMPLETED, value=45.0)
    with SweepView(Console(file=out, width=160, highlight=False)) as view:
        for sweep in (
            _sweep(State.QUEUED),
            _sweep(State.QUEUED),
            _sweep(State.RUNNING, counts=TrialCounts(total=4, running=2)),
            _sweep(State.RUNNING, counts=TrialCounts(total=4, running=1, completed=1), best=best),
            _sweep(State.RUNNING, counts=TrialCounts(total=4, completed=2, stopped=1), paused=True),
        ):
            view.update(sweep)
    assert out.getvalue().splitlines() == [
        "swp-1  n [x]: queued, 0 of 4 trials completed",
        "swp-1  n [x]: running, 0 of 4 trials completed, 2 running",
        "swp-1  n [x]: running, 1 of 4 trials completed, 1 running, best mIoU 45.00 (λ=0.3, seed 1)",
        "swp-1  n [x]: running (paused), 2 of 4 trials completed, 1 stopped early",
    ]


def test_live_progress_in_a_terminal_shows_what_runs() -> None:
    """A bar for the sweep and one for each running trial, gone with it."""
    out = io.StringIO()
    with SweepView(Console(file=out, force_terminal=True, width=120)) as view:
        view.update(_sweep(State.RUNNING, running=(_trial(2),)))
        view.update(_sweep(State.COMPLETED, counts=TrialCounts(total=4, completed=4)))
    assert "λ=0.3, seed 1" in out.getvalue()
    assert "4/4" in out.getvalue()


def test_names_are_no_markup() -> None:
    """A row may be named like a closing tag: it is shown, wherever it stands."""
    out = io.StringIO()
    best = _trial(1, row="[/x]", state=State.COMPLETED, value=45.0)
    with SweepView(Console(file=out, force_terminal=True, width=160)) as view:
        view.update(_sweep(State.RUNNING, name="[/n]", best=best, running=(_trial(2, row="[/y]"),)))
    print_sweep(Console(file=out, width=160), _sweep(State.RUNNING, best=best, trials=(best,)))
    assert out.getvalue().count("best mIoU 45.00 ([/x], seed 1)") >= 2
    assert "[/y], seed 1" in out.getvalue()


def test_trials_that_are_not_shown_are_counted() -> None:
    """All of them, also those that the service has not sent."""
    out = io.StringIO()
    trials = tuple(_trial(number) for number in range(1000))
    print_sweep(Console(file=out), _sweep(State.RUNNING, counts=TrialCounts(total=10_000), trials=trials))
    assert "… 9,800 more: rebalance list --sweep swp-1" in out.getvalue()


def _results(*rows: str, **fields: Any) -> str:
    """The table with classes that a terminal shows."""
    scores = scores_of([[8, 2], [1, 5]], names=["[/c]", "road"])
    entries = [entry_of(row, 0, make_report(scores=scores)) for row in rows]
    out = io.StringIO()
    print_results(Console(file=out, width=200), make_table("t", entries, **fields), classes=True)
    return out.getvalue()


def test_classes_in_a_terminal() -> None:
    """Differences to the reference, wherever it stands; names as they are; too many rows have no columns."""
    text = _results("[/a]", "[/b]", "c", reference="[/b]")
    titles = next(line for line in text.splitlines() if "class" in line)
    assert titles.split() == ["class", "group", "[/b]", "Δ", "[/a]", "Δ", "c"]
    assert "[/c]" in text
    text = _results(*(f"r{row}" for row in range(13)))
    assert "[/c]" not in text
    assert "IoU and ΔIoU by class of 13 rows: in this table as CSV or JSON" in text


def test_the_table_fits_a_hundred_columns() -> None:
    """All columns of a preset's table, spreads and the paper's numbers included, in one line a row."""
    sweep = parse_sweep(sweep_document(tags={"preset": "table1"}, axes=[], name="t"))
    scores = scores_of([[900, 100, 0], [50, 50, 0], [10, 10, 80]])
    entries = [
        entry_of(row, seed, make_report(scores=scores))
        for row in PRESETS["table1"].methods
        for seed in (0, 1, 2)
    ]
    out = io.StringIO()
    print_results(Console(file=out, width=100), sweep_table(sweep, entries))
    lines = out.getvalue().splitlines()
    assert all(len(line) <= 100 for line in lines)
    row = next(line for line in lines if line.lstrip().startswith("baseline"))
    assert row.count("±") == 5
    assert row.rstrip().endswith("43.95")


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        ("submit {} --format csv", "--format"),
        ("submit {} --validate-only --wait", "--wait"),
        ("submit {} --validate-only --format csv", "--format"),
        ("submit {} --validate-only --idempotency-key k", "--idempotency-key"),
        ("table swp-1 --json --format csv", "--format"),
        ("watch swp-1 --json --format latex", "--format"),
        ("table swp-1 --classes --format csv", "--classes"),
        ("table swp-1 --classes --json", "--classes"),
        ("show ''", "ID"),
    ],
)
def test_options_that_would_do_nothing(
    service: Service, spec_file: Path, words: str, flag: str, client: RebalanceClient, capsys: Any
) -> None:
    """Refused in one line with the exit code of bad input, and nothing is stored."""
    before = len(list(client.sweeps()))
    try:
        code: Any = run(service, "sweep", *shlex.split(words.format(spec_file)))
    except SystemExit as ended:
        code = ended.code
    told = capsys.readouterr().err
    assert code == ExitCode.BAD_INPUT
    assert told.count("\n") == 1
    assert flag in told
    assert len(list(client.sweeps())) == before


def test_ctrl_c_says_that_the_sweep_goes_on(
    service: Service, client: RebalanceClient, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And how to come back; where cancel was asked, that it stays so. Exit code 130."""

    def interrupted(*_: object, **__: object) -> Iterator[SweepPublic]:
        raise KeyboardInterrupt
        yield

    identifier = client.submit_sweep(sweep_document()).id
    monkeypatch.setattr(RebalanceClient, "follow_sweep", interrupted)
    for told in ("the sweep goes on", "the cancel still stands"):
        assert run(service, "sweep", "watch", identifier) == ExitCode.INTERRUPTED
        assert f"{told}: rebalance sweep watch {identifier}\n" in capsys.readouterr().err
        client.cancel_sweep(identifier)


def test_cancel_asked_is_shown() -> None:
    """In the list, with the sweep, and with each trial that it concerns, until it has come."""
    ended = _trial(0, state=State.COMPLETED)
    waits, own = _trial(1, state=State.QUEUED), _trial(2, state=State.RUNNING, detached=True)
    asked = _trial(3, cancel_requested_at=NOW)
    every = (ended, waits, own, asked)

    def lines(sweep: SweepPublic) -> list[str]:
        out = io.StringIO()
        console = Console(file=out, width=100)
        console.print(sweeps_table([sweep], NOW))
        print_sweep(console, sweep)
        return [line.split()[0] for line in out.getvalue().splitlines() if "cancel requested" in line]

    assert lines(_sweep(State.RUNNING, trials=every)) == ["s-0003"]
    wanted = ["swp-1", "state", "s-0001", "s-0003"]
    assert lines(_sweep(State.RUNNING, trials=every, cancel_requested_at=NOW)) == wanted
    assert lines(_sweep(State.CANCELLED, trials=(ended,), cancel_requested_at=NOW)) == []


def test_failures_are_told_below_the_trials() -> None:
    """Type and first line, a line each within the width; of very many the first ones."""
    out = io.StringIO()
    error = ErrorPublic(type="DataError", message="label [77] " + "x" * 300 + "\nsecond line")
    trials = [_trial(number, state=State.FAILED, error=error) for number in range(22)]
    stopped = ErrorPublic(type="StoppedEarly", message="rung 1")
    trials.append(_trial(22, state=State.CANCELLED, stopped=True, error=stopped))
    print_sweep(Console(file=out, width=120), _sweep(State.COMPLETED, trials=tuple(trials)))
    lines = [line for line in out.getvalue().splitlines() if "DataError" in line]
    assert len(lines) == 20
    assert lines[3].startswith("s-0003 failed: DataError: label [77] xxx")
    assert all(len(line) <= 120 for line in lines)
    assert "… and 2 more" in out.getvalue()
    assert "second line" not in out.getvalue()
    assert "StoppedEarly" not in out.getvalue()


def test_list_and_show_count_alike() -> None:
    """What was stopped early has not completed, and stands in a column of its own."""
    out = io.StringIO()
    sweep = _sweep(State.COMPLETED, counts=TrialCounts(total=4, completed=3, stopped=1))
    console = Console(file=out, width=100)
    console.print(sweeps_table([sweep], NOW))
    titles, _, cells, *_ = (line.split() for line in out.getvalue().splitlines() if line.strip())
    assert titles[3:5] == ["completed", "stopped"]
    assert cells[4:6] == ["3/4", "1"]
    print_sweep(console, sweep)
    assert "3 of 4 trials completed, 1 stopped early" in out.getvalue()


def test_one_trial_is_no_trials(service: Service, tmp_path: Path, capsys: Any) -> None:
    """Numbers and nouns agree."""
    path = tmp_path / "one.json"
    path.write_text(json.dumps(sweep_document(axes=[], seeds=[0])))
    assert run(service, "sweep", "submit", str(path)) == 0
    told = capsys.readouterr().out
    assert told.endswith(", 1 trial\n")
    assert run(service, "sweep", "pause", told.split()[0]) == 0
    assert "paused; none runs" in capsys.readouterr().out
    assert run(service, "sweep", "show", told.split()[0]) == 0
    assert "0 of 1 trial completed" in capsys.readouterr().out


def test_trials_of_no_sweep(service: Service, capsys: Any) -> None:
    """A list of an unknown sweep's trials is refused like the sweep itself."""
    assert run(service, "list", "--sweep", "nope") == ExitCode.BAD_INPUT
    assert "no sweep 'nope'" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["x" * 1_000_001, "{", '{"base": NaN}'])
def test_a_file_that_is_none_is_named(service: Service, tmp_path: Path, capsys: Any, text: str) -> None:
    """Where the mistake is none of a field."""
    path = tmp_path / "huge.json"
    path.write_text(text)
    for command in (["sweep", "submit"], ["submit"]):
        assert run(service, *command, str(path)) == ExitCode.BAD_INPUT
        assert capsys.readouterr().err.startswith(f"{path}: ")


def test_a_preview_says_what_is_not_plain(service: Service, tmp_path: Path, capsys: Any) -> None:
    """Fewer settings than draws, and that optuna's trials are not known."""
    axes = [{"pointer": "/method/lambda", "choice": [0, 0.1]}]
    path = tmp_path / "few.json"
    path.write_text(json.dumps(sweep_document(axes=axes, search="optuna", limits={"trials": 5})))
    assert run(service, "sweep", "submit", str(path), "--validate-only") == 0
    told = capsys.readouterr().out
    assert "note: /limits/trials: 2, not 5: the axes have no more settings" in told
    assert "note: optuna draws its trials as it goes" in told


def test_a_table_without_rows() -> None:
    """Its notes alone: there is nothing to differ from."""
    assert _results() == "note: no trial has a result\n"
