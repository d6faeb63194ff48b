"""`rebalance pause` and `rebalance resume`, as they are typed."""

from __future__ import annotations

import pytest

from service.cli.main import main
from service.client import RebalanceClient
from tests.data_factories import spec_document
from tests.unit.service.served import Service, until
from trainer.base.ends import ExitCode


def test_an_experiment_is_paused_and_resumed(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """What was asked for is said; once it rests, its state and the way on are in list and show."""
    service.backend.down = True  # so that it waits
    with RebalanceClient(service.url) as client:
        wanted = client.submit(spec_document(name="rests")).id
        assert main(["pause", wanted, "--api", service.url]) == ExitCode.DONE
        assert f"{wanted}  rests: queued, pause requested" in capsys.readouterr().out
        until(lambda: client.experiment(wanted).state == "paused")
        assert main(["show", wanted, "--api", service.url]) == ExitCode.DONE
        assert f"it was paused; once it is resumed: rebalance resume {wanted}" in capsys.readouterr().out
        assert main(["list", "--state", "paused", "--json", "--api", service.url]) == ExitCode.DONE
        assert wanted in capsys.readouterr().out
        assert main(["retry", wanted, "--api", service.url]) == ExitCode.BAD_INPUT
        assert f"rebalance resume {wanted}" in capsys.readouterr().err
        service.backend.down = False
        assert main(["resume", wanted, "--api", service.url]) == ExitCode.DONE
        assert f"{wanted}  rests: queued, goes on" in capsys.readouterr().out
        until(lambda: client.experiment(wanted).state == "submitted")
        assert main(["cancel", wanted, "--api", service.url]) == ExitCode.DONE
