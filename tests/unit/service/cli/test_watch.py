"""`rebalance watch` and `logs -f` on a real connection, until the experiment has ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from service.cli import watching
from service.cli.main import main
from service.reconcile.reconciler import utc_now
from service.shared.states import State
from service.store.experiments import Store
from tests.unit.service.conftest import new_row
from tests.unit.service.served import Service
from trainer.base.ends import ExitCode

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def store(service: Service) -> Iterator[Store]:
    opened = Store(service.settings.database)
    yield opened
    opened.close()


def _end(store: Store, identifier: str, end: State) -> None:
    for state in (State.SUBMITTED, State.RUNNING, end):
        store.transition(store.get(identifier), to=state, reason="test", now=utc_now())


@pytest.mark.parametrize(("end", "code"), [(State.COMPLETED, ExitCode.DONE), (State.FAILED, ExitCode.FAILED)])
def test_watch_stays_until_all_have_ended(
    service: Service, store: Store, capsys: Capture, monkeypatch: pytest.MonkeyPatch, end: State, code: int
) -> None:
    monkeypatch.setattr(watching, "_SECONDS", 0.05)
    identifier = f"watched-{end}"
    store.create(new_row(identifier), new_tags={})
    later = threading.Timer(0.3, _end, (store, identifier, end))
    later.start()
    assert main(["watch", identifier, "--api", service.url]) == code
    later.join()
    out = capsys.readouterr().out
    assert "queued" in out
    assert out.rstrip().endswith(str(end))


def test_a_log_is_followed_to_its_end(
    service: Service, store: Store, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    store.create(new_row("followed"), new_tags={})
    log = service.settings.layout.attempt("followed", 1).log
    log.write("one\n")

    def go_on() -> None:
        log.write("one\ntwo λ")
        _end(store, "followed", State.COMPLETED)

    later = threading.Timer(0.3, go_on)
    later.start()
    assert main(["logs", "-f", "followed", "--api", service.url]) == ExitCode.DONE
    later.join()
    assert capfdbinary.readouterr().out.decode() == "one\ntwo λ"
