"""What trainer/run/ray_compat.py takes from Ray Train is there."""

from __future__ import annotations

import inspect

from ray.exceptions import RayTaskError
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.exceptions import UserExceptionWithTraceback, WorkerHealthCheckFailedError

from trainer.run.ray_compat import lean_trainer, unwrapped


def test_the_trainer_without_its_cleaner() -> None:
    """Ray still makes that callback where ours takes it out, and calls the two methods that ours replaces."""
    trainer = lean_trainer()
    assert issubclass(trainer, TorchTrainer)
    for name in ("_create_default_callbacks", "_register_sigint_handler"):
        assert getattr(trainer, name) is not getattr(TorchTrainer, name)
        assert f"self.{name}(" in inspect.getsource(inspect.getmodule(TorchTrainer.fit))  # type: ignore[arg-type]
    assert PlacementGroupCleanerCallback.__name__ in inspect.getsource(TorchTrainer._create_default_callbacks)


def test_failures_are_unwrapped() -> None:
    """Through each wrapper that Ray puts around what the training code raised, one in another too."""
    raised = ValueError("of the training code")
    traced = UserExceptionWithTraceback(raised, traceback_str="…")
    unhealthy = WorkerHealthCheckFailedError("died", failure=traced)
    task = RayTaskError("train", "…", raised)
    assert [unwrapped(each) for each in (raised, traced, unhealthy, task)] == [raised] * 4
