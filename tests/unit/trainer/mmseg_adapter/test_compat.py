"""What mmengine_compat.py and torch_compat.py take from mmengine and torch is there."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import pytest
import torch
from mmengine.hooks import RuntimeInfoHook
from mmengine.logging import MMLogger
from mmengine.runner import IterBasedTrainLoop, Runner
from mmseg.models import SegDataPreProcessor
from torch.utils.data import DataLoader, TensorDataset

from trainer.base.errors import DataError
from trainer.mmseg_adapter.mmengine_compat import (
    QuietConfig,
    QuietRunner,
    built_loops,
    continue_at,
    global_registries,
    inner_iterator,
    pixel_rule,
)
from trainer.mmseg_adapter.torch_compat import DispatchMode, end_workers, kept_iterator, require, words_of


class Endless:
    """As little of a runner as a loop asks for when it is made."""

    def __init__(self) -> None:
        self.train_loop = IterBasedTrainLoop(self, _loader(), max_iters=4)
        self._train_loop, self._val_loop = self.train_loop, None


def _loader() -> DataLoader[tuple[torch.Tensor, ...]]:
    return DataLoader(TensorDataset(torch.zeros(4)), num_workers=1, persistent_workers=True)


def test_the_runner_calls_what_is_quiet() -> None:
    """mmengine still calls the methods that ours replaces."""
    source = inspect.getsource(Runner)
    for name in ("dump_config", "_log_env", "_init_model_weights"):
        assert getattr(QuietRunner, name) is not getattr(Runner, name)
        assert f"self.{name}(" in source


def test_the_config_has_no_text() -> None:
    """mmengine still asks for it before each run, and a copy has none either; the rest is all there."""
    assert "runner.cfg.pretty_text" in inspect.getsource(RuntimeInfoHook)
    config = copy.deepcopy(QuietConfig({"a": {"b": 1}}))
    assert (config.pretty_text, config.a.b) == ("", 1)


def test_a_loop_goes_on_where_it_is_told() -> None:
    """What `continue_at` sets is what the loop counts; the runner keeps its loops where we look for them."""
    runner = Endless()
    continue_at(runner, 3)
    assert runner.train_loop.iter == 3
    assert built_loops(runner) == (runner.train_loop, None)
    source = inspect.getsource(Runner)
    assert "self._train_loop" in source
    assert "self._val_loop" in source


@pytest.mark.parametrize("red_first", [False, True])
@pytest.mark.parametrize("normalised", [False, True])
def test_what_is_done_to_pixels(red_first: bool, normalised: bool) -> None:
    """It is found where mmengine's preprocessor keeps it, as that acts."""
    numbers = {"mean": [1.0, 2.0, 3.0], "std": [2.0, 2.0, 2.0]} if normalised else {}
    preprocessor = SegDataPreProcessor(bgr_to_rgb=red_first, **numbers)
    assert pixel_rule(preprocessor) == (red_first, normalised)
    picture = torch.arange(3.0)[:, None, None]
    (done,) = preprocessor({"inputs": [picture]}, False)["inputs"]
    expected = picture.flip(0) if red_first else picture
    assert torch.equal(done, (expected - preprocessor.mean) / preprocessor.std if normalised else expected)


def test_operators_are_seen_and_sizes_required() -> None:
    """What draws is marked as such where it runs inside a module; a size that must not be is an error."""

    class Seen(DispatchMode):  # type: ignore[misc]
        drawn = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.drawn += torch.Tag.nondeterministic_seeded in func.tags
            return func(*args, **(kwargs or {}))

    with Seen() as seen:
        torch.nn.Dropout(0.5)(torch.ones(4))
        torch.nn.Dropout(0.5).eval()(torch.ones(4))
    assert seen.drawn == 1
    with pytest.raises(RuntimeError):
        require(False)


def test_loader_processes_end_at_once() -> None:
    """Of the endless iterator of a loop, and of a loader that keeps its own; each is where we look."""
    loop = Endless().train_loop
    endless = loop.dataloader_iterator
    assert inner_iterator(endless) is None, "mmengine begins when the first batch is asked for"
    next(endless)
    kept, inner = kept_iterator(loop.dataloader), inner_iterator(endless)
    assert kept is inner
    (process,) = inner._workers
    assert process.is_alive()
    end_workers(kept)
    process.join(10)
    assert not process.is_alive()
    end_workers(kept_iterator(_loader()))  # none yet: nothing to end


def test_registries_are_found() -> None:
    """A logger that mmengine was asked for once is in one of them, by its name."""
    name = "test-registries-are-found"
    logger = MMLogger.get_instance(name)
    assert any(registry.get(name) is logger for registry in global_registries())
    for registry in global_registries():
        registry.pop(name, None)


class Refusing(TensorDataset):
    """Holds one sample, and cannot read it."""

    def __getitem__(self, index: int) -> tuple[torch.Tensor, ...]:
        raise DataError("m.png holds the ids 9; allowed: 0")


@pytest.mark.parametrize("processes", [0, 1])
def test_errors_of_loader_processes_have_their_own_words(processes: int) -> None:
    """An error keeps its class and its text, wherever the sample was loaded."""
    with pytest.raises(DataError) as refused:
        next(iter(DataLoader(Refusing(torch.zeros(1)), num_workers=processes)))
    assert words_of(refused.value) == "m.png holds the ids 9; allowed: 0"
