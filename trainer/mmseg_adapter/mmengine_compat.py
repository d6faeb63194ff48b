"""What we use of mmengine that its documentation does not promise: seen in 0.10.12, held by a test.

Each private name stands here once. Where mmengine moves one,
`tests/unit/trainer/mmseg_adapter/test_compat.py` says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.utils import ManagerMixin


class QuietRunner(Runner):  # type: ignore[misc]
    """The Runner without its printed and saved copies of the config (the plan has it, and yapf takes 0.35 s)
    and without a second initialisation of the model. mmengine has no switch for these.
    """

    def dump_config(self) -> None:
        return None

    def _log_env(self, env_cfg: Any) -> None:
        del env_cfg

    def _init_model_weights(self) -> None:
        return None


class QuietConfig(Config):  # type: ignore[misc]
    """The config without its text, which one of mmengine's hooks has yapf make for each run (0.1 s of it)."""

    @property
    def pretty_text(self) -> str:
        return ""


def continue_at(runner: Any, iteration: int) -> None:
    """Makes the training loop count on from `iteration`: its own resume, which loads a checkpoint of its own
    form, sets the same field.
    """
    runner.train_loop._iter = iteration


def built_loops(runner: Any) -> tuple[Any, Any]:
    """The training and the validation loop as they are: the properties of these names would build them."""
    return runner._train_loop, runner._val_loop


def inner_iterator(iterator: Any) -> Any:
    """The loader's own iterator in the endless one of a training loop; None before its first batch."""
    return getattr(iterator, "_iterator", None)


def pixel_rule(preprocessor: Any) -> tuple[bool, bool]:
    """Whether a picture's channels, blue first, are put red first, and whether they are normalised."""
    return bool(preprocessor._channel_conversion), bool(preprocessor._enable_normalize)


def global_registries() -> Iterator[dict[str, Any]]:
    """The instances that mmengine keeps for ever, by name: loggers, message hubs, visualizers, scopes."""
    for kind in _subclasses(ManagerMixin):
        yield kind.__dict__.get("_instance_dict") or {}  # there is no way to take one out


def _subclasses(kind: type) -> list[type]:
    direct: list[type] = kind.__subclasses__()
    return [*direct, *(deeper for child in direct for deeper in _subclasses(child))]
