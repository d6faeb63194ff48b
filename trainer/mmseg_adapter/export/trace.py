"""A label program as torch.export's graph: for pictures of any size, where the model allows it, or of one."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx import GraphModule

from trainer.mmseg_adapter.export.pictures import (
    MOST_DIFFERING,
    Picture,
    Size,
    as_input,
    margin,
    share_differing,
)
from trainer.mmseg_adapter.export.refused import Refused
from trainer.mmseg_adapter.model.fit import MISFITS, misfit_of


@dataclass(frozen=True)
class Traced:
    """A graph that takes (1, 3, H, W) uint8 and gives (1, H, W) int64.

    Attributes:
        size: (H, W) where it takes no other; None: any from `least` on.
        least: (H, W) of the smallest pictures that it takes, as far as torch can tell.
    """

    program: ExportedProgram
    size: Size | None
    least: Size


@torch.no_grad()
def traced_for_any(program: nn.Module, picture: Picture) -> Traced:
    """The graph of `program` for pictures of any size: traced at another than the picture's, tried on it.

    Raises:
        Refused: there is none, or it holds for the size only at which it was traced.
    """
    with quiet():
        try:
            made = _exported(program, as_input(margin(picture)), every_size=True)
            found, wanted = (run(as_input(picture)).numpy() for run in (made.module(), program))
            if share_differing([found], [wanted]) <= MOST_DIFFERING:
                return Traced(made, None, _least(made))
        except MISFITS as error:
            raise Refused(f"torch.export makes no graph of the model: {misfit_of(error)}") from None
    raise Refused("the graph that torch.export makes of the model holds for one size only")


@torch.no_grad()
def traced_for_one(program: nn.Module, picture: Picture) -> Traced:
    """The graph of `program` for pictures of this one's size.

    Raises:
        Refused: torch.export makes none.
    """
    with quiet():
        try:
            made = _exported(program, as_input(picture), every_size=False)
        except MISFITS as error:
            raise Refused(f"torch.export makes no graph of the model: {misfit_of(error)}") from None
    size = picture.shape[0], picture.shape[1]
    return Traced(made, size, size)


@contextmanager
def quiet() -> Iterator[None]:
    """Exporters warn of what they leave out of libraries that are not here; a failure is raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def _exported(program: nn.Module, example: Tensor, *, every_size: bool) -> ExportedProgram:
    shapes: Any = ({2: Dim.DYNAMIC, 3: Dim.DYNAMIC},) if every_size else None
    made = torch.export.export(program, (example.clone(),), dynamic_shapes=shapes, strict=False)
    made.example_inputs = None  # a picture of somebody's data set
    for graph in made.graph_module.modules():
        for node in graph.graph.nodes if isinstance(graph, GraphModule) else ():
            node.meta.pop("stack_trace", None)  # files of this machine, which would be taken along
    return made


def _least(program: ExportedProgram) -> Size:
    (name,) = program.graph_signature.user_inputs
    (picture,) = (node.meta["val"] for node in program.graph.nodes if node.name == name)
    lower = {str(side): int(bounds.lower) for side, bounds in program.range_constraints.items()}
    height, width = (lower.get(str(side), 1) for side in picture.shape[2:])
    return height, width
