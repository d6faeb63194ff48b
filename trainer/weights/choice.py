"""What `/weights` of a spec means: the file to begin from, none, or what is wrong with it."""

from __future__ import annotations

import shlex
from pathlib import Path

from trainer.base.errors import Problem, WeightsError
from trainer.base.pointers import excerpt
from trainer.spec.catalogue.weights_list import WEIGHTS, Published
from trainer.storage.layout import Storage
from trainer.storage.weights import StoredWeights, WeightsFolder
from trainer.weights.layouts import LAYOUTS

POINTER = "/weights"
NONE, PRETRAINED = "none", "pretrained"
_FROM_SCRATCH = '"none", which trains from scratch'


def weights_problems(
    weights: str, model_pretrained: str | None, storage: Storage, published: Published = WEIGHTS
) -> list[Problem]:
    """What is wrong with `/weights`, as the storage is now; nothing if training can begin from them.

    Args:
        weights: the spec's word: `"pretrained"`, `"none"`, or a name.
        model_pretrained: the name of the weights that the model is published with, if there are any.
    """
    if weights == NONE:
        return []
    name = _name(weights, model_pretrained)
    if name is None:
        got = '"pretrained": no weights are known for this model'
        return [_problem(got, f"{_FROM_SCRATCH}; or a name of `rebalance weights list`")]
    return _problems_of(name, storage, published)


def find_weights(
    weights: str, model_pretrained: str | None, storage: Storage, published: Published = WEIGHTS
) -> StoredWeights | None:
    """The file that training begins from, read once more (a second for each GB); None where there is none.

    Raises:
        WeightsError: `weights_problems` has some, for files may go between a POST and the job; or the file is
            not what was checked.
        OSError: it cannot be read.
    """
    problems = weights_problems(weights, model_pretrained, storage, published)
    if problems:
        raise WeightsError("; ".join(map(str, problems)))
    name = None if weights == NONE else _name(weights, model_pretrained)
    if name is None:
        return None
    folder = WeightsFolder(storage)
    found = folder.find(name)
    if found is None or folder.digest(name)[0] != found.note.sha256:
        raise WeightsError(f"{name} has changed since it was checked: see `rebalance weights verify {name}`")
    return found


def _name(weights: str, model_pretrained: str | None) -> str | None:
    return model_pretrained if weights == PRETRAINED else weights


def _problems_of(name: str, storage: Storage, published: Published) -> list[Problem]:
    folder, into = WeightsFolder(storage), _into(storage)
    known, found = published.get(name), folder.find(name)
    if found is not None:
        layout = found.note.layout
        if layout in LAYOUTS:
            return []
        got = f"{name} has the layout {layout}, which is not converted"
        return [_problem(got, f"weights with one of the layouts {', '.join(LAYOUTS)}; or {_FROM_SCRATCH}")]
    if folder.is_unchecked(name):
        got = f"{name} lies in the storage, but was not checked, or has changed since"
        return [_problem(got, f"after `rebalance weights verify {name}{into}`; or {_FROM_SCRATCH}")]
    if known is None:
        return [_problem(f"{excerpt(name)} is not known", _NAMES)]
    arrived = folder.arrived(name)
    got = f"{name} has arrived in part only ({arrived} bytes)" if arrived else f"{name} is not in the storage"
    if not known.urls:
        return [_problem(got, f"after `rebalance weights add FILE --name {name}{into}`; or {_FROM_SCRATCH}")]
    return [_problem(got, f"after `rebalance weights fetch {name}{into}`; or {_FROM_SCRATCH}")]


_NAMES = f'"pretrained"; a name of `rebalance weights list`; or {_FROM_SCRATCH}'


def _into(storage: Storage) -> str:
    """What a command needs besides to find the storage; nothing where it looks there by itself."""
    usual = Storage.at(Path("~/.rebalance/storage"))
    return "" if storage.root == usual.root else f" --storage {shlex.quote(str(storage.root))}"


def _problem(got: str, allowed: str) -> Problem:
    return Problem(POINTER, got, allowed)
