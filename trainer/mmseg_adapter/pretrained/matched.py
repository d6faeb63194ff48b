"""What came of loading weights into a backbone: counted, and in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from trainer.base.text import first_names, printable
from trainer.storage.notices import Notice

_MOST_NAMED = 4
# Of whatever the weights were trained for before, and of a whole segmentation model.
_OF_OTHER_TASKS = re.compile(
    r"(head|heads|fc|fc_norm|classifier|norm|ln1|neck|pre_logits|mask_token|lm_head|decode_head|auxiliary_head"
    r"|head_dist|dist_token|incre_modules|downsamp_modules|final_layer)(\.|\d|$)"
)


@dataclass(frozen=True)
class Matched:
    """Tensors by name. `backbone`: which module of the model took them."""

    weights: str
    backbone: str
    matched: int  # tensors of the module that are from the file
    total: int  # that could have been
    missing: tuple[str, ...]  # those that were left as they were initialised; each known to be optional
    left_over: tuple[str, ...]  # of the file that have no place in the module
    resized: tuple[str, ...]  # tables of positions that were trained at another size

    def __str__(self) -> str:
        parts = [f"weights {self.weights}: {self.matched} of {self.total} tensors of {self.backbone}"]
        for what, names in (
            ("resized", self.resized),
            ("from scratch", self.missing),
            ("left over", self.left_over),
        ):
            if names:
                parts.append(f"{what}: {len(names)} ({named(names)})")
        return "; ".join(parts)

    @property
    def odd(self) -> tuple[str, ...]:
        """What is left over and is not of a classifier or of another task's head."""
        return tuple(name for name in self.left_over if not _OF_OTHER_TASKS.match(name))

    @property
    def notice(self) -> Notice | None:
        """What a person must see of it; None where all is as it should be."""
        if not self.odd:
            return None
        return Notice(
            code="weights_left_over",
            text=f"{len(self.odd)} tensors of the weights {self.weights} have no place in the model's"
            f" {self.backbone}: {named(self.odd)}",
            hint="if the weights are another model's, others as /weights",
        )


def named(names: Sequence[str]) -> str:
    """The first of some tensors' names."""
    return first_names([printable(name)[:100] for name in names], most=_MOST_NAMED)
