"""Whether a model can be trained at all, found out on the meta device before it takes memory or time.

Letters: N pictures, H W crop.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from torch import Tensor, nn

from trainer.base.errors import ModelError
from trainer.mmseg_adapter.head import UnsupportedHead, check_head
from trainer.mmseg_adapter.model.outline import BeyondLimit, outlining

MOST_PARAMETERS = 2_000_000_000
_MOST_TENSORS = 8000  # of a part, made in seconds: HRNet-W48 has 2,000
_LARGEST_MAP = 2**33  # numbers, 32 GiB as float32: no GPU has room for it and its gradient
_LONGEST = 300  # characters of what mmseg says

# What a constructor or a forward pass raises when numbers do not fit each other.
MISFITS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    NameError,
    RuntimeError,
    TypeError,
    ValueError,
)

Place = tuple[str, ...]  # keys and indices below the model's config


def check_size(
    model_config: Mapping[str, Any], limit: int = MOST_PARAMETERS, where: str = "/model/config"
) -> int:
    """The number of the model's parameters, found on the meta device: in seconds, without memory.

    Args:
        model_config: as mmengine wants it; see `mmseg_adapter.config.revive`.
        limit: most parameters, and most numbers in all buffers.
        where: the pointer of the model in the spec.

    Raises:
        ModelError: a part cannot be built, or all of them have more parameters than `limit`.
    """
    return _count(dict(_outlined_parts(model_config, limit, where)), limit, where)


def check_model(
    model_config: Mapping[str, Any],
    *,
    pictures: int,
    crop_size: tuple[int, int],
    several_workers: bool = False,
    limit: int = MOST_PARAMETERS,
    where: str = "/model/config",
) -> int:
    """`check_size`, and a training step without numbers: whether the parts fit each other.

    Args:
        pictures: N, those that are normalised together.
        crop_size: (H, W).
        several_workers: they average gradients, so that every parameter must get one.

    Raises:
        ModelError: also where the shapes do not fit, a head takes maps that are not there, batch norm would
            get one value a channel, gradients do not come back, or the branch cannot be attached to the head.
    """
    parts = dict(_outlined_parts(model_config, limit, where))
    number = _count(parts, limit, where)
    *_, last = (place for place in parts if place[0] == "decode_head")
    try:
        check_head(parts[last])
    except UnsupportedHead as error:
        raise ModelError(_pointer(where, last), str(error)) from None
    outputs = _run(parts, torch.Size((pictures, 3, *crop_size)), where)
    if outputs:
        _learn(parts, outputs, where, all_parameters=several_workers)
    return number


def _outlined_parts(
    model_config: Mapping[str, Any], limit: int, where: str
) -> Iterator[tuple[Place, nn.Module]]:
    """Each part on the meta device, with its place in the config."""
    for place, config in _parts(model_config):
        kind = config.get("type")
        try:
            with outlining(most_tensors=_MOST_TENSORS, most_numbers=2 * limit):
                part: nn.Module = MODELS.build(Config({"part": config}).part)
        except BeyondLimit as error:
            raise ModelError(_pointer(where, place), f"{kind} is too large: {error}") from None
        except MISFITS as error:
            raise ModelError(_pointer(where, place), f"{kind} cannot be built: {misfit_of(error)}") from None
        yield place, part


def _parts(model_config: Mapping[str, Any]) -> Iterator[tuple[Place, Any]]:
    """The places and configs of the parts, in the order in which pictures go through them."""
    for name in ("backbone", "neck", "decode_head", "auxiliary_head"):
        config = model_config.get(name)
        if isinstance(config, (list, tuple)):
            yield from (((name, str(number)), one) for number, one in enumerate(config))
        elif config is not None:
            yield (name,), config


def _count(parts: Mapping[Place, nn.Module], limit: int, where: str) -> int:
    parameters = sum(each.numel() for part in parts.values() for each in part.parameters())
    buffers = sum(each.numel() for part in parts.values() for each in part.buffers())
    for name, number in (("parameters", parameters), ("numbers in buffers", buffers)):
        if number > limit:
            raise ModelError(where, f"the model has {number:,} {name}; at most {limit:,} can be trained here")
    return parameters


def _run(parts: Mapping[Place, nn.Module], shape: torch.Size, where: str) -> list[Tensor]:
    """What the heads give for pictures without numbers. What the meta device cannot do is not judged."""
    maps: Any = torch.empty(shape, device="meta")
    outputs: list[Any] = []
    for place, part in parts.items():
        name = place[0]
        later = name == "decode_head" and place[1:] > ("0",)
        inputs = (maps, outputs[-1]) if later else (maps,)
        part.train()  # some of mmseg's networks do not return themselves
        try:
            with outlining(largest=_LARGEST_MAP):
                output = part(*inputs)
        except BeyondLimit as error:
            raise ModelError(_pointer(where, place), f"{type(part).__name__} is too large: {error}") from None
        except MISFITS as error:
            if _undecided(error):
                return []
            got = f"{type(part).__name__} does not take what comes to it, {_shapes(maps)}: {misfit_of(error)}"
            raise ModelError(_pointer(where, place), got) from None
        if name in ("backbone", "neck"):
            maps = output
        else:
            outputs.append(output)
    return list(_tensors(outputs))


def _learn(
    parts: Mapping[Place, nn.Module], outputs: list[Tensor], where: str, *, all_parameters: bool
) -> None:
    """Sends gradients without numbers back; with `all_parameters` each must get one."""
    try:
        with outlining():
            torch.stack([output.sum() for output in outputs]).sum().backward()  # type: ignore[no-untyped-call]
    except MISFITS as error:
        if _undecided(error):
            return
        raise ModelError(where, f"the model cannot be trained: {misfit_of(error)}") from None
    idle = [
        (place, name)
        for place, part in parts.items()
        for name, parameter in part.named_parameters()
        if parameter.requires_grad and parameter.grad is None
    ]
    if idle and all_parameters:
        place, name = idle[0]
        got = f"{len(idle)} tensors of weights are used by no head, {name} first: several workers need all"
        raise ModelError(_pointer(where, place), got)


def _tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in tuples and lists."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)


def _undecided(error: Exception) -> bool:
    """Whether it is the meta device that cannot do something, not the model."""
    return "meta" in str(error)


def _shapes(maps: Any) -> str:
    """For example `4 maps of 32×128×128, 64×64×64 and so on`: channels, height and width."""
    several = maps if isinstance(maps, (list, tuple)) else [maps]
    texts = ["×".join(map(str, one.shape[1:])) for one in several if isinstance(one, Tensor)]
    kind = "pictures" if isinstance(maps, Tensor) else f"{len(several)} map{'s' if len(several) != 1 else ''}"
    return f"{kind} of {', '.join(texts[:8])}"


def misfit_of(error: Exception) -> str:
    """What mmseg or torch says, shortened; of a bare assertion the line that failed."""
    text = " ".join(str(error).split())
    if not text:
        frames = traceback.extract_tb(error.__traceback__)
        text = (frames[-1].line or "") if frames else ""
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _pointer(where: str, place: Place) -> str:
    return "/".join((where, *place))
