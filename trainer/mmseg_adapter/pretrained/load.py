"""Loads a file of pretrained weights into a model's backbone, or says why it does not fit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from trainer.base.errors import WeightsError
from trainer.mmseg_adapter.pretrained.convert import CONVERTERS, Tensors
from trainer.mmseg_adapter.pretrained.matched import Matched, named
from trainer.mmseg_adapter.pretrained.positions import fitted
from trainer.weights.tensors import read_tensors

# Follow from the window's size, and are the model's own.
_COMPUTED = re.compile(r"(.*\.)?(relative_position_index|attn_mask)")
_COUNTER = "num_batches_tracked"  # older files lack it
_PREFIX = re.compile(r"(module\.)?backbone\.")
# What published weights of a backbone lack, and mmsegmentation initialises, by class.
_OPTIONAL = {
    "SwinTransformer": re.compile(r"norm\d\.(weight|bias)"),  # of each stage's output
    "MAE": re.compile(r"(.*\.)?(relative_position_bias_table|gamma_[12])"),  # trained without
    "PCPVT": re.compile(r"norm_list\..*"),  # Twins' norms of outputs
    "PIDNet": re.compile(r"((compression|pag|diff)_\d|d_branch_layers|spp|dfm)\..*"),  # between its branches
    "DDRNet": re.compile(r"spp\..*"),
}


def load_pretrained(model: nn.Module, file: Path, *, layout: str, name: str | None = None) -> Matched:
    """Puts the file's tensors into the model's backbone, and says which.

    To be called on every rank, after `init_weights`: each reads the same file, and no rank waits for another.

    Args:
        model: mmsegmentation's, with a `backbone`; that may have the one that is meant inside, as ICNet has.
        layout: one of `trainer.weights.layouts`.
        name: what messages call the weights; by default the file's name.

    Raises:
        WeightsError: the file is damaged, or it is not this backbone's; the model is as it was.
    """
    shown = name or file.stem
    if layout not in CONVERTERS:
        raise WeightsError(
            f"weights {shown}: the layout {layout!r} is not known; allowed: {', '.join(CONVERTERS)}"
        )
    if not isinstance(getattr(model, "backbone", None), nn.Module):
        raise WeightsError(f"weights {shown}: the model has no backbone")
    tensors = _without(read_tensors(file), "module.")
    fit = _best_fit(model, tensors, layout)
    try:
        return fit.load(shown)
    except WeightsError as error:
        better = max((_best_fit(model, tensors, each) for each in CONVERTERS), key=lambda each: each.named)
        hint = f"; {better.named} match in the layout {better.layout}: see `rebalance weights add --help`"
        told = f"{error}{hint if better.named > fit.named else ''}"
        raise WeightsError(f"weights {shown}, read in the layout {layout}: {told}") from None


@dataclass(frozen=True)
class _Fit:
    """One way to lay the file's tensors beside a module's."""

    layout: str
    path: str
    module: nn.Module
    tensors: Tensors
    wanted: dict[str, Tensor]  # of the module, but for what it computes

    @property
    def counted(self) -> set[str]:
        """The module's tensors that a file should have."""
        return {name for name in self.wanted if not name.endswith(_COUNTER)}

    @property
    def named(self) -> int:
        """How many of them the file has by name."""
        return len(self.counted & self.tensors.keys())

    def load(self, weights: str) -> Matched:
        """Raises WeightsError before anything was changed."""
        counted = self.counted
        found = counted & self.tensors.keys()
        required = {name for name in counted if not self._is_optional(name)}
        if 2 * len(required & found) < len(required):
            kind = type(self.module).__name__
            raise WeightsError(
                f"has {len(found)} of the {len(counted)} tensors of {kind}: it is another model's"
            )
        taken, resized = self._shaped()
        missing = tuple(name for name in self.wanted if name in counted and name not in found)
        lacking = [name for name in missing if name in required]
        if lacking:
            raise WeightsError(f"lacks {len(lacking)} tensors of the model: {named(lacking)}")
        _refuse_damaged(taken)
        try:
            self.module.load_state_dict(taken, strict=False)
        except RuntimeError as error:  # tensors that cannot be copied, quantised ones say
            raise WeightsError(f"cannot be copied into the model ({error})") from None
        return Matched(
            weights=weights,
            backbone=self.path,
            matched=len(found),
            total=len(counted),
            missing=missing,
            left_over=tuple(
                name for name in self.tensors if name not in self.wanted and not _COMPUTED.fullmatch(name)
            ),
            resized=resized,
        )

    def _shaped(self) -> tuple[Tensors, tuple[str, ...]]:
        """The module's tensors from the file, and which of them were resized."""
        taken, resized, wrong = {}, [], []
        for name in self.wanted.keys() & self.tensors.keys():
            tensor, wanted = self.tensors[name], self.wanted[name]
            if tensor.shape != wanted.shape:
                made = fitted(name, tensor, wanted, self.module)
                if made is None:
                    wrong.append(f"{name} is {_size(tensor)}, not {_size(wanted)}")
                    continue
                tensor = made
                resized.append(name)
            taken[name] = tensor
        if wrong:
            raise WeightsError(f"has {len(wrong)} tensors of other shapes: {named(sorted(wrong))}")
        return taken, tuple(sorted(resized))

    def _is_optional(self, name: str) -> bool:
        kinds = (kind.__name__ for kind in type(self.module).__mro__)
        return any(_OPTIONAL[kind].fullmatch(name) for kind in kinds if kind in _OPTIONAL)


def _best_fit(model: nn.Module, tensors: Tensors, layout: str) -> _Fit:
    """The way in which most of a backbone's tensors have a name in the file; of equal ones the outermost."""
    states = [CONVERTERS[layout](each) for each in (tensors, _below(tensors))]
    fits = []
    for path, module in model.get_submodule("backbone").named_modules(prefix="backbone"):
        if path.endswith("backbone"):
            own = module.state_dict().items()
            wanted = {name: each for name, each in own if not _COMPUTED.fullmatch(name)}
            fits += [_Fit(layout, path, module, state, wanted) for state in states]
    return max(fits, key=lambda each: each.named)


def _without(tensors: Tensors, prefix: str) -> Tensors:
    """Names without the prefix, if all of them have it."""
    if not all(name.startswith(prefix) for name in tensors):
        return tensors
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


def _below(tensors: Tensors) -> Tensors:
    """As a whole model has them: its backbone's without the prefix, and the others."""
    return {
        _PREFIX.sub("", name, count=1) if _PREFIX.match(name) else name: each
        for name, each in tensors.items()
    }


def _refuse_damaged(tensors: Tensors) -> None:
    damaged = [
        name
        for name, tensor in tensors.items()
        if tensor.is_floating_point() and not torch.isfinite(tensor).all()
    ]
    if damaged:
        raise WeightsError(f"has values that are not finite: {named(damaged)}")


def _size(tensor: Tensor) -> str:
    return " × ".join(map(str, tensor.shape)) or "a number"
