"""Every parameter has mmsegmentation's rate and decay at every step of five published schedules."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from tests.factories import tiny_spec
from tests.integration.parity.mmseg_files import FILES, mmseg_file, model_config, schedule
from tests.integration.parity.optimizers import in_steps, rates, settings
from trainer.data.prepare import PreparedData
from trainer.mmseg_adapter.config import render_config
from trainer.mmseg_adapter.model.config import render_model, revive
from trainer.mmseg_adapter.parameter_groups import LayerGroups, NamedGroups
from trainer.mmseg_adapter.step.optim_wrapper import StepOptimWrapper
from trainer.spec.networks import Network

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:torch.meshgrid.*:UserWarning"),  # mmseg's BEiT
    pytest.mark.filterwarnings("ignore:DeprecationWarning.*:UserWarning"),  # what BEiT-L's file names
]

CLASSES = tuple(f"class {number}" for number in range(150))
DATA = PreparedData("/data", "training", "validation", CLASSES, 1.0, 20_210, 2000)
REGISTERED = StepOptimWrapper, LayerGroups, NamedGroups  # what our configs name


@functools.cache
def rendered(name: str) -> dict[str, Any]:
    """Our config of the file's run, with the file's model."""
    spec = tiny_spec().model_copy(update={"schedule": schedule(name)})
    config = render_config(spec, DATA, work_dir="work", loader_workers=0)
    config["model"] = render_model(Network(model_config(name)), spec, num_classes=len(CLASSES))
    return revive(config)


@functools.cache
def file_schedulers(name: str) -> list[dict[str, Any]]:
    """The file's schedulers; BEiT-L's decays to the end of the run, as mmseg 0.x did, not to its middle."""
    file = mmseg_file(name)
    schedulers: list[dict[str, Any]] = [dict(one) for one in file.param_scheduler]
    schedulers[-1]["end"] = file.train_cfg.max_iters
    return schedulers


def file_optim_wrapper(name: str) -> dict[str, Any]:
    wrapper: dict[str, Any] = mmseg_file(name).optim_wrapper.to_dict()
    return {**wrapper, "type": "OptimWrapper"}  # mixed precision has no part in rates; mmengine's wants a GPU


@pytest.mark.parametrize("name", FILES)
def test_rates_and_decays(name: str) -> None:
    """Each parameter's rate and decay at the start, and from each such rate the rate of every step: the same
    bits. BEiT-L beside its file with the end of the decay put right, its counts divided by the two parts.
    """
    ours, file = rendered(name), mmseg_file(name)
    start = settings(ours["model"], ours["optim_wrapper"])
    assert start == settings(model_config(name), file_optim_wrapper(name))
    parts = file.optim_wrapper.get("accumulative_counts", 1)
    steps = file.train_cfg.max_iters // parts
    assert schedule(name).iterations == steps
    assert schedule(name).accumulate == parts
    starts = sorted({rate for rate, _ in start.values()})
    expected = rates(in_steps(file_schedulers(name), parts), starts, steps)
    assert np.array_equal(rates(ours["param_scheduler"], starts, steps), expected)
    assert len(np.unique(expected[:, -1])) > steps // 2


def test_optimizers_are_the_files() -> None:
    """Kind, momentum, betas and whatever else is said of them."""
    for name in FILES:
        expected = mmseg_file(name).optim_wrapper.optimizer.to_dict()
        found = rendered(name)["optim_wrapper"]["optimizer"]
        assert {**found, "betas": tuple(found.get("betas", ()))} == {
            **expected,
            "betas": tuple(expected.get("betas", ())),
        }


def test_beit_in_parts_and_in_steps() -> None:
    """BEiT-L's file counts parts, and a step is taken after its second: our rate of a step differs from that
    part's by less than 4e-4 of the highest.
    """
    name = "upernet_beit_l"
    peak = schedule(name).learning_rate
    ours = rates(rendered(name)["param_scheduler"], [peak], 160_000)[:, 0]
    parts = rates(file_schedulers(name), [peak], 320_000)[1::2, 0]
    assert np.abs(ours - parts).max() < 4e-4 * peak
    assert ours[1499] == pytest.approx(peak, rel=1e-12)
    assert ours[-1] == parts[-1] == 0
