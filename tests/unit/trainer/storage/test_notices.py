"""Notices of an attempt: kept once, by several writers, whatever a kill leaves of a line."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.data_factories import make_report
from trainer.base.errors import Cancelled
from trainer.results.report import AttemptReport, read_report, write_report
from trainer.run.attempt import Attempt
from trainer.storage.directories import AttemptDir
from trainer.storage.notices import Notice, add_notice, read_notices
from trainer.storage.posix import PosixFile, PosixFolder
from trainer.task import Task

FIRST = Notice(code="unseen_class", text="class 2 'car' has no training pixel", hint="look at the masks")
SECOND = Notice(code="tracking", text="MLflow refused the run: zu voll, schließt")


def attempt_in(storage: Path, number: int) -> Attempt:
    return Attempt(Task(experiment="e1", attempt=number, spec=make_report().spec, storage=str(storage)))


def test_notices_come_back_in_their_order(tmp_path: Path) -> None:
    """What was added is read, umlauts included; none where nothing was."""
    here = AttemptDir(PosixFolder(tmp_path / "1"))
    assert read_notices(here) == ()
    assert add_notice(here, FIRST)
    assert add_notice(here, SECOND)
    assert read_notices(here) == (FIRST, SECOND)


def test_the_same_notice_is_kept_once(tmp_path: Path) -> None:
    """Whoever says it again, it is one line; another hint makes another notice."""
    here = AttemptDir(PosixFolder(tmp_path))
    assert [add_notice(here, FIRST) for _ in range(3)] == [True, False, False]
    assert add_notice(here, FIRST.model_copy(update={"hint": None}))
    assert len(here.notices.read_text().splitlines()) == 2


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    """A writer that was killed in a line spoils neither those before it nor those after it."""
    here = AttemptDir(PosixFolder(tmp_path))
    add_notice(here, FIRST)
    with here.notices.appending() as stream:
        stream.write(SECOND.model_dump_json().encode()[:-30])
    assert read_notices(here) == (FIRST,)
    add_notice(here, SECOND)
    assert read_notices(here) == (FIRST, SECOND)


def test_writers_side_by_side_lose_nothing(tmp_path: Path) -> None:
    """The training's rank and the job's driver add to one file: every notice is there, each once."""
    here = AttemptDir(PosixFolder(tmp_path))
    notices = [Notice(code="n", text=f"fact {k % 10}") for k in range(40)]
    with ThreadPoolExecutor(8) as pool:
        new = list(pool.map(lambda notice: add_notice(here, notice), notices))
    assert sum(new) == 10
    assert set(read_notices(here)) == set(notices)


def test_the_report_has_the_notices_of_its_attempt(tmp_path: Path) -> None:
    """Those of another attempt are that one's; an attempt that fails reports them as well."""
    one, two = attempt_in(tmp_path, 1), attempt_in(tmp_path, 2)
    one.notice(FIRST)
    two.notice(SECOND)
    assert one.report(error=ValueError("no")).notices == (FIRST,)
    assert two.report(error=ValueError("no")).notices == (SECOND,)


def test_a_new_notice_is_printed_once(tmp_path: Path, capsys: object) -> None:
    """The log says it, with its hint; said again it is no news."""
    attempt = attempt_in(tmp_path, 1)
    attempt.notice(FIRST)
    attempt.notice(FIRST)
    printed = capsys.readouterr().out  # type: ignore[attr-defined]
    assert printed == "notice: class 2 'car' has no training pixel; hint: look at the masks\n"


def test_reports_from_before_notices_are_read(tmp_path: Path) -> None:
    """A report without the field has none; one with them comes back as it was."""
    file = PosixFile(tmp_path / "report.json")
    old = make_report().model_dump_json(exclude={"notices"})
    file.write(old)
    assert read_report(file) == make_report()
    told = make_report().model_copy(update={"notices": (FIRST, SECOND)})
    write_report(told, file)
    assert read_report(file) == told
    assert AttemptReport.model_validate_json(old).notices == ()


def test_a_job_stopped_while_mlflow_is_told(tmp_path: Path) -> None:
    """Its report is the one it had, with what was noted since: the run, and that something is missing."""
    attempt = attempt_in(tmp_path, 1)
    attempt.finish(make_report("e1"))
    attempt.notice(SECOND)
    attempt.task.layout.mlflow_run("e1").write('{"run_id": "m1"}')
    report = attempt.last_words(Cancelled("stopped by SIGTERM"))
    assert (report.state, report.mlflow_run_id, report.notices) == ("completed", "m1", (SECOND,))
