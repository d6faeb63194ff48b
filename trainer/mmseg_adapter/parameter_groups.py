"""Optimiser wrappers whose parameters have rates and decays of their own, in as few groups as it takes.

mmengine makes a group of each parameter: optimisers then go from one to the next, and checkpoints grow.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor
from mmseg.engine.optimizers import LearningRateDecayOptimizerConstructor
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from trainer.base.errors import Problem, SpecError

Group = dict[str, Any]

# Swin's tables of positions are not decayed either, by their authors and in mmseg's files.
_SWIN_POSITIONS = ("absolute_pos_embed", "relative_position_bias_table")


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class NamedGroups(DefaultOptimWrapperConstructor):  # type: ignore[misc]
    """mmengine's groups by parts of names, norms and biases; equal ones are one."""

    def __call__(self, model: nn.Module) -> Any:
        """The wrapper of an optimiser of `model`.

        Raises:
            SpecError: a part of a name is in the name of no parameter that is trained.
        """
        _check_matches(list(self.paramwise_cfg.get("custom_keys", {})), getattr(model, "module", model))
        return super().__call__(model)

    def add_params(
        self, params: list[Group], module: nn.Module, prefix: str = "", is_dcn_module: bool | None = None
    ) -> None:
        """Appends the groups of `module`; of the whole model, whose prefix is empty, they are merged."""
        super().add_params(params, module, prefix=prefix, is_dcn_module=is_dcn_module)
        if not prefix:
            params[:] = merged(params, learning_rate=self.base_lr, weight_decay=self.base_wd)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerGroups(LearningRateDecayOptimizerConstructor):  # type: ignore[misc]
    """mmseg's groups by layer for BEiT and MAE, and the like for Swin, which mmseg has not.

    A layer learns at `decay_rate` of the rate of the one above it; what is no part of the backbone, our
    region branch among it, at the whole rate. Norms, biases and all else of one dimension are not decayed.
    """

    def add_params(self, params: list[Group], module: nn.Module, **kwargs: Any) -> None:
        """Appends the groups of the model `module`."""
        backbone: Any = module.backbone
        if hasattr(backbone, "stages"):
            depths = [len(stage.blocks) for stage in backbone.stages]
            params += _swin_groups(
                module, depths, self.paramwise_cfg["decay_rate"], self.base_lr, self.base_wd
            )
        else:
            self.paramwise_cfg["num_layers"] = len(backbone.layers)
            with contextlib.redirect_stdout(io.StringIO()):  # it prints every parameter
                super().add_params(params, module, **kwargs)
        params[:] = merged(params, learning_rate=self.base_lr, weight_decay=self.base_wd)


def merged(groups: Sequence[Group], *, learning_rate: float, weight_decay: float) -> list[Group]:
    """One group for each pair of rate and decay: the usual pair's if any has it, then as they appear.

    So the first group's rate is the one to show. A parameter that is in several groups stays in its first.

    Args:
        groups: with `params`, and `lr` and `weight_decay` where they are not the usual ones.
        learning_rate: the usual rate.
        weight_decay: the usual decay.
    """
    found: dict[tuple[float, float], list[nn.Parameter]] = {(learning_rate, weight_decay): []}
    seen: set[int] = set()
    for group in groups:
        settings = group.get("lr", learning_rate), group.get("weight_decay", weight_decay)
        for parameter in group["params"]:
            if id(parameter) not in seen:
                seen.add(id(parameter))
                found.setdefault(settings, []).append(parameter)
    return [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in found.items()]


def swin_layer(name: str, depths: Sequence[int]) -> int:
    """Layer of a parameter of mmseg's Swin: 0 the patches, 1 to sum(depths) the blocks, then all above.

    A stage's downsampling counts to its last block. The norms of the stages' outputs are above the blocks, as
    the one of the authors' last stage is.

    Args:
        name: in the model, such as "backbone.stages.0.blocks.1.norm1.weight".
        depths: blocks of each stage.

    Source: `get_swin_layer` in optimizer.py of github.com/microsoft/SimMIM, by Swin's authors. Theirs counts
    absolute positions to the head; here they are with the patches they are added to, as mmseg has BEiT's.
    """
    if name.startswith(("backbone.patch_embed.", "backbone.absolute_pos_embed")):
        return 0
    if not name.startswith("backbone.stages."):
        return sum(depths) + 1
    _, _, stage, part, number, *_ = name.split(".")
    return sum(depths[: int(stage)]) + int(number) + 1 if part == "blocks" else sum(depths[: int(stage) + 1])


def _swin_groups(
    model: nn.Module, depths: Sequence[int], decay_rate: float, learning_rate: float, weight_decay: float
) -> Iterator[Group]:
    """A group for each trained parameter of a model with Swin as its backbone."""
    layer_of = partial(swin_layer, depths=depths)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            flat = parameter.ndim == 1 or name.endswith(".bias")
            plain = flat or any(part in name for part in _SWIN_POSITIONS)
            yield {
                "params": [parameter],
                "lr": decay_rate ** (sum(depths) + 1 - layer_of(name)) * learning_rate,
                "weight_decay": 0.0 if plain else weight_decay,
            }


def _check_matches(matches: Sequence[str], model: nn.Module) -> None:
    """Refuses parts of names that no trained parameter has; `matches` in the spec's order."""
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    problems = tuple(
        Problem(
            f"/schedule/parameter_groups/{number}/match",
            f"{match!r} is in the name of no trained parameter",
            f"a part of a name such as {names[0]!r}, {names[-1]!r}",
        )
        for number, match in enumerate(matches)
        if not any(match in name for name in names)
    )
    if problems:
        raise SpecError(problems)
