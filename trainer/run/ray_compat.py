"""What we use of Ray Train that its documentation does not promise: seen in Ray 2.60, held by a test.

Each private name stands here once. Where Ray moves one, `tests/unit/trainer/run/test_ray_compat.py` says so.
"""

from __future__ import annotations

from typing import Any

# Where Ray keeps the exception that it wraps: UserExceptionWithTraceback, RayTaskError,
# WorkerHealthCheckFailedError. Its TrainingFailedError names the failures but shows the wrapped ones.
_WRAPPED = ("_base_exc", "cause", "health_check_failure")


def lean_trainer() -> type[Any]:
    """TorchTrainer without its placement group cleaner and its handler of SIGINT.

    The cleaner is a detached process (3 s of imports on a core the workers want) which frees the placement
    group of a controller that died. Ours belongs to the job, and Ray frees it when the job's driver ends. Ray
    has no switch for either.
    """
    from ray.train.torch import TorchTrainer
    from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback

    class LeanTrainer(TorchTrainer):  # type: ignore[misc]
        def _register_sigint_handler(self, controller: Any) -> None:
            del controller  # the job's own handler writes a report before it ends

        def _create_default_callbacks(self) -> list[Any]:
            callbacks = super()._create_default_callbacks()
            return [one for one in callbacks if not isinstance(one, PlacementGroupCleanerCallback)]

    return LeanTrainer


def unwrapped(failure: BaseException) -> BaseException:
    """The exception the training code raised, out of the wrappers Ray put around it."""
    for attribute in _WRAPPED:
        inner = getattr(failure, attribute, None)
        if isinstance(inner, BaseException):
            return unwrapped(inner)
    return failure
