"""Data sets on disk: whether the directory a spec names is one, and may be used.

Only headers and a table of class frequencies are read here, so that a POST can be answered at once; label
ids are checked when the job starts (`trainer.data.frequency`). A data set is images/SPLIT, annotations/SPLIT
and, where the catalogue does not have its classes, classes.txt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from trainer.base.data_roots import DataRoot, is_named, names_in, place_of, root_by_name
from trainer.base.errors import DataError, Problem, SpecError
from trainer.data.class_names import CLASSES_FILE, class_names, read_classes
from trainer.data.containers import Size
from trainer.data.frequency_tables import TableError, find_table
from trainer.data.listing import CONVERTED, MASK_SUFFIX, printable_name
from trainer.data.splits import SplitFacts, is_inside, real_path, split_facts
from trainer.spec.capacity import capacity_problems
from trainer.spec.data.datasets import (
    DATASETS,
    IGNORE_INDEX,
    MAX_CLASSES,
    MIN_CLASSES,
    AnyDataset,
    DigitScenes,
    Folder,
    Layout,
    OnDisk,
)
from trainer.spec.models import entry_of
from trainer.spec.recipes import Machines
from trainer.spec.spec import ExperimentSpec, crop_problems
from trainer.storage.layout import Storage
from trainer.weights.choice import weights_problems


def resolve_spec(
    spec: ExperimentSpec,
    *,
    data_roots: Sequence[DataRoot] | None,
    storage: Storage | None = None,
    most: Machines | None = None,
) -> ExperimentSpec:
    """`spec` with its data set's root absolute and real, after everything that headers can tell was checked.

    A root by name, `data:NAME`, stays as it is: where it lies is each deployment's own business. One that was
    left out becomes one by name where it was found in a data root that has one.

    Args:
        data_roots: directories in which roots may lie, symbolic links followed; None allows any, for
            jobs run by hand. Specs of built-in data sets are returned as they are.
        storage: where pretrained weights must lie; None: that is not asked.
        most: what the cluster may grow to, where that is declared.

    Raises:
        SpecError: with every problem found.
    """
    problems = unfit(spec, storage=storage, most=most)
    try:
        resolved = _resolve_data(spec, data_roots)
    except SpecError as error:
        raise SpecError((*error.problems, *problems)) from None
    if problems:
        raise SpecError(tuple(problems))
    return resolved


def unfit(spec: ExperimentSpec, *, storage: Storage | None, most: Machines | None) -> list[Problem]:
    """What `resolve_spec` refuses without a look at the data set; with the same arguments."""
    problems = capacity_problems(spec.resources, most)
    if storage is not None:
        problems += weights_problems(spec.weights, entry_of(spec.model).pretrained, storage)
    return problems


def _resolve_data(spec: ExperimentSpec, data_roots: Sequence[DataRoot] | None) -> ExperimentSpec:
    dataset = spec.dataset
    if isinstance(dataset, DigitScenes):
        return spec
    resolved, problems, sizes = _looked_at(dataset, data_roots, ("train_split", "eval_split"))
    common = sizes.pop() if len(sizes) == 1 else None
    # Public data sets have pictures of many sizes, the small ones are padded: so may be a sample of one size.
    if common is not None and DATASETS[dataset.name].layout.classes_file:
        problems += crop_problems(spec, scaled_size(common, dataset.scale))
    if problems:
        raise SpecError(tuple(problems))
    return spec.model_copy(update={"dataset": resolved})


def resolve_evaluated(dataset: AnyDataset, *, data_roots: Sequence[DataRoot] | None) -> AnyDataset:
    """A data set that a trained model is scored on, checked as by `resolve_spec`; it needs one split alone.

    Raises:
        SpecError: with every problem found.
    """
    if isinstance(dataset, DigitScenes):
        return dataset
    scored = dataset.model_copy(update={"train_split": dataset.eval_split, "frequency_table": None})
    resolved, problems, _ = _looked_at(scored, data_roots, ("eval_split",))
    if problems:
        raise SpecError(tuple(problems))
    return resolved


def _looked_at(
    dataset: OnDisk, data_roots: Sequence[DataRoot] | None, fields: Sequence[str]
) -> tuple[OnDisk, list[Problem], set[Size | None]]:
    """The data set with its real root, what is wrong with it, and the common sizes of its splits' pictures.

    Args:
        fields: those of the splits.

    Raises:
        SpecError: there is no such root.
    """
    allowed = None if data_roots is None else tuple(real_path(path) for path in data_roots)
    root = _resolve_root(dataset, allowed, names_in(data_roots or ()))
    problems = _classes_problems(dataset, root, allowed)
    if not problems:  # a table is judged by the classes
        names = class_names(dataset.name, root)
        problems = [*_table_problems(dataset, root, names), *label_problems(dataset, len(names))]
    layout = DATASETS[dataset.name].layout
    sizes = set()
    for field in fields:
        split = getattr(dataset, field)
        missing = _split_problem(root, split, layout)
        if missing:
            facts = SplitFacts(0, None, (missing,))
        else:
            facts = split_facts(root, split, allowed, mask_ending=layout.mask_ending)
        problems += [Problem(f"/dataset/{field}", got, wanted) for got, wanted in facts.faults]
        sizes.add(facts.picture_size)
    if dataset.root is not None and is_named(dataset.root):
        return dataset, problems, sizes
    called = root_by_name(root, names_in(data_roots or ())) if dataset.root is None else None
    return dataset.model_copy(update={"root": called or str(root)}), problems, sizes


def scaled_size(size: Size, scale: float) -> Size:
    """(height, width) after shrinking by `scale`, rounded half up, at least one pixel."""
    return max(1, int(size[0] * scale + 0.5)), max(1, int(size[1] * scale + 0.5))


def _resolve_root(dataset: OnDisk, allowed: tuple[Path, ...] | None, named: Mapping[str, str]) -> Path:
    layout = DATASETS[dataset.name].layout
    if allowed is None:
        parts = "images/, annotations/ and classes.txt" if layout.classes_file else "images/ and annotations/"
        wanted = f"a directory with {parts}"
    elif allowed:
        wanted = "an absolute path to a directory in " + " or ".join(str(root) for root in allowed)
        wanted += "".join(f", or data:{name}" for name in named)
    else:
        wanted = "nothing: the service was started without a data root (--data-root DIR)"
    if dataset.root is None:
        found = next(_usual_places(dataset.name, allowed or ()), None)
        if found is None:
            usual = " or ".join(f"`{name}`" for name in layout.directories)
            got = f"is missing, and no allowed data root is {dataset.name} or holds it as {usual}"
            raise SpecError((Problem("/dataset/root", got, wanted),))
        return found
    place = place_of(dataset.root, named)
    if isinstance(place, Problem):
        raise SpecError((place,))
    if allowed is not None and not place.is_absolute():
        reason: str | None = "is not an absolute path"
    else:
        try:
            root = real_path(place)
            reason = _why_not(root, allowed)
        except ValueError:  # a NUL or a lone surrogate
            reason = "cannot be a path"
        except OSError as error:  # in a directory that is closed to us, or a name too long for any
            reason = f"cannot be read ({error.strerror})"
    if reason is not None:
        raise SpecError((Problem("/dataset/root", f"{dataset.root!r} {reason}", wanted),))
    return root


def _why_not(root: Path, allowed: tuple[Path, ...] | None) -> str | None:
    """Why a real path cannot be a root. Place before existence: nobody learns what lies elsewhere."""
    if not is_inside(root, allowed):
        return "lies outside the allowed data roots"
    if not root.exists():
        return "does not exist"
    return None if root.is_dir() else "is not a directory"


def _usual_places(dataset_name: str, allowed: Sequence[Path]) -> Iterator[Path]:
    """Real paths of the data set in the allowed data roots: one of them itself, or a usual name in it."""
    for data_root in allowed:
        usual = DATASETS[dataset_name].layout.directories
        for candidate in (data_root, *(data_root / name for name in usual)):
            real = real_path(candidate)
            if is_inside(real, (data_root,)) and _is_laid_out(dataset_name, candidate):
                yield real


def _is_laid_out(dataset_name: str, candidate: Path) -> bool:
    """Whether a directory is the data set: by its classes.txt, or by its name and training split."""
    entry = DATASETS[dataset_name]
    try:
        if entry.layout.classes_file:
            return read_classes(candidate) == entry.classes
        named = candidate.name in {Path(usual).name for usual in entry.layout.directories}
        return named and not _missing_parts(candidate, entry.default("train_split"))
    except (DataError, OSError):  # closed to us, say
        return False


def _classes_problems(dataset: OnDisk, root: Path, allowed: tuple[Path, ...] | None) -> list[Problem]:
    if not DATASETS[dataset.name].layout.classes_file:
        return []
    count = f"{MIN_CLASSES} to {MAX_CLASSES}"
    wanted = f"a file {CLASSES_FILE} of {count} non-empty lines, each once, line i = id i"
    if not is_inside(real_path(root / CLASSES_FILE), allowed):
        return [Problem("/dataset/root", f"{CLASSES_FILE} links to outside the allowed data roots", wanted)]
    try:
        names = read_classes(root)
    except DataError as error:
        return [Problem("/dataset/root", str(error), wanted)]
    expected = DATASETS[dataset.name].classes
    if expected is not None and names != expected:
        got = f"{CLASSES_FILE} is not that of {dataset.name}: {', '.join(names[: len(expected) + 1])}"
        return [Problem("/dataset/root", got, ", ".join(expected))]
    return []


def _table_problems(dataset: OnDisk, root: Path, names: Sequence[str]) -> list[Problem]:
    if dataset.frequency_table is None:
        return []
    try:
        find_table(dataset.frequency_table, root, names)
    except TableError as error:
        where = "/dataset/frequency_table"
        return [Problem(where, f"{one.pointer}: {one.got}", one.allowed) for one in error.problems]
    return []


def label_problems(dataset: OnDisk, num_classes: int) -> Iterator[Problem]:
    """What `zero_is_void` and `label_map` ask of classes that are not there."""
    if not isinstance(dataset, Folder):
        return
    if dataset.zero_is_void and num_classes == MAX_CLASSES:
        got = f"leaves {MAX_CLASSES - 1} ids, and {CLASSES_FILE} has {num_classes} classes"
        yield Problem("/dataset/zero_is_void", got, f"at most {MAX_CLASSES - 1} classes")
    targets = (dataset.label_map or {}).items()
    for k, to in targets:
        if to is not None and num_classes <= to != IGNORE_INDEX:
            wanted = f"0 to {num_classes - 1} as in {CLASSES_FILE}, null or {IGNORE_INDEX} for void"
            yield Problem(f"/dataset/label_map/{k}", f"{to} is no class", wanted)
    if targets and all(to is None or to == IGNORE_INDEX for _, to in targets):
        yield Problem("/dataset/label_map", "makes every id void", "at least one id with a class")


def _missing_parts(root: Path, split: str) -> list[str]:
    return [part for part in ("images", "annotations") if not (root / part / split).is_dir()]


def _split_problem(root: Path, split: str, layout: Layout) -> tuple[str, str] | None:
    """(what was wrong, what is allowed) where a split's directories are missing."""
    try:
        missing = _missing_parts(root, split)
    except OSError as error:
        return f"cannot be read ({error.strerror})", "readable directories"
    if not missing:
        return None
    there = sorted(
        printable_name(path.name)
        for path in (root / "images").glob("*")
        if path.is_dir() and (root / "annotations" / path.name).is_dir()
    )
    got = f"there is no directory {' or '.join(f'{part}/{split}' for part in missing)}"
    if any((root / part / split).is_symlink() for part in missing):
        got += ": it is a link to nothing"
    made = f", with {CONVERTED}" if layout.mask_ending != MASK_SUFFIX else ""
    return got, ", ".join(there) or f"a directory in both images/ and annotations/{made}"
