"""The training loop: one iteration is one step of the optimiser, in however many parts it is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.runner import IterBasedTrainLoop
from mmseg.registry import LOOPS
from torch import Tensor, nn

from trainer.base.errors import ModelError
from trainer.base.text import first_names
from trainer.losses.reduction import StepUnits, count_units, world_size
from trainer.mmseg_adapter.head import trained_heads
from trainer.mmseg_adapter.step.average import bare
from trainer.spec.data.datasets import IGNORE_INDEX

Batch = dict[str, Sequence[Any]]


@LOOPS.register_module()
class StepLoop(IterBasedTrainLoop):  # type: ignore[misc]
    """mmengine's loop, with iterations that are steps (mmengine counts the parts of a step)."""

    def __init__(self, *args: Any, accumulate: int = 1, channels_last: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._accumulate = accumulate
        self._format = torch.channels_last if channels_last else None

    def run_iter(self, data_batch: Batch) -> None:
        self.runner.call_hook("before_train_iter", batch_idx=self._iter, data_batch=data_batch)
        outputs = self._step(data_batch)
        self.runner.call_hook(
            "after_train_iter", batch_idx=self._iter, data_batch=data_batch, outputs=outputs
        )
        self._iter += 1

    def _step(self, batch: Batch) -> dict[str, Tensor]:
        """One step; what to log of it."""
        model, wrapper = self.runner.model, self.runner.optim_wrapper
        inner: Any = bare(model)
        wrapper.guard.begin(self._iter + 1, [sample.img_path for sample in batch["data_samples"]])
        parts = in_parts(batch, self._accumulate)
        if len(parts) > 1 or world_size() > 1:
            _announce(inner, batch)
        logged: list[dict[str, Tensor]] = []
        for part in parts:
            with wrapper.part(model, last=part is parts[-1]):
                data = inner.data_preprocessor(part, True)
                if self._format is not None:
                    data["inputs"] = data["inputs"].contiguous(memory_format=self._format)
                losses = model(**data, mode="loss")
            loss, values = inner.parse_losses(losses)
            wrapper.add(loss)
            logged.append({name: torch.as_tensor(value).detach() for name, value in values.items()})
        if world_size() > 1:
            refuse_idle(inner)
        outputs = merged(logged)
        wrapper.move(outputs["loss"], {name: value for name, value in outputs.items() if "loss_" in name})
        return outputs


def refuse_idle(model: nn.Module) -> None:
    """Refuses weights that got no gradient: workers would not have averaged those of their neighbours either.

    torch says so a step later, and not by name; to look for such weights in each step would cost all others.

    Raises:
        ModelError: with the names of the first.
    """
    idle = [name for name, each in model.named_parameters() if each.requires_grad and each.grad is None]
    if idle:
        got = f"{len(idle)} tensors of weights get no gradient: {first_names(idle)}; several workers need all"
        raise ModelError("/model", f"{got}, so that it trains with /resources/workers 1 alone")


def in_parts(batch: Batch, number: int) -> list[Batch]:
    """`number` equal parts of a batch whose values are lists, in its order."""
    if number == 1:
        return [batch]
    size = len(batch["inputs"]) // number
    return [
        {name: values[start : start + size] for name, values in batch.items()}
        for start in range(0, size * number, size)
    ]


def merged(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """What to log of a step: the sum of its parts' losses, the mean of all else."""
    if len(parts) == 1:
        return dict(parts[0])
    stacked = {name: torch.stack([part[name] for part in parts]) for name in parts[0]}
    return {name: values.sum() if "loss" in name else values.nanmean() for name, values in stacked.items()}


def _announce(model: Any, batch: Batch) -> None:
    """Tells every head what the labels of the whole step hold, on all ranks, before its first part."""
    heads = trained_heads(model)
    height, width = model.data_preprocessor.size
    units: StepUnits = count_units(
        [sample.gt_sem_seg.data for sample in batch["data_samples"]],
        pixels_each=height * width,
        num_classes=heads[-1].num_classes,
        ignore_index=IGNORE_INDEX,
        device=next(model.parameters()).device,
    )
    for head in heads:
        head.step_units = units
