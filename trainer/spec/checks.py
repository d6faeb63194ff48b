"""What fields ask of each other: each function has the problems of one matter."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.base.errors import Problem
from trainer.spec.augmentation import NATIVE, Augmentation, Base, fitted
from trainer.spec.data.datasets import AnyDataset, Folder
from trainer.spec.evaluation import MODES, AnyMode, Slide
from trainer.spec.methods import AnyMethod, of_a_batch
from trainer.spec.resources import Resources
from trainer.spec.schedule import SMALLEST_CROP, Schedule

_MOST_WINDOWS = 8  # one above the other that a pixel may be in: 64 with those beside it


def batch_problems(schedule: Schedule, resources: Resources) -> list[Problem]:
    """A batch must divide among the workers, and each worker's share into the parts that it is taken in."""
    workers, parts, size = resources.workers, schedule.accumulate, schedule.batch_size
    if size % workers:
        got, allowed = f"{size} does not divide among {workers} workers", f"/resources/workers ({workers})"
    elif size // workers % parts:
        share = f"{size // workers} pictures of each worker" if workers > 1 else f"{size}"
        got = f"{share} cannot be taken in {parts} equal parts"
        allowed = f"/resources/workers × /schedule/accumulate ({workers * parts})"
    else:
        return []
    return [Problem("/schedule/batch_size", got, f"a multiple of {allowed}")]


def shared_gpu_problems(resources: Resources) -> list[Problem]:
    """Workers that train together cannot share a GPU: NCCL refuses two ranks on one."""
    share, workers = resources.gpus_per_worker, resources.workers
    if workers == 1 or share in (0, 1):
        return []
    got = f"{workers} workers cannot have {share:g} of a GPU each: NCCL refuses two of them on one GPU"
    return [
        Problem("/resources/workers", got, "1, or /resources/gpus_per_worker 0 or 1"),
        Problem("/resources/gpus_per_worker", got, "0 or 1, or /resources/workers 1"),
    ]


def optimizer_problems(schedule: Schedule, resources: Resources) -> list[Problem]:
    """Words of the optimiser that do not go together, or that a CPU cannot take."""
    problems = []
    lowest, rate = schedule.min_learning_rate, schedule.learning_rate
    if lowest > rate:
        got = f"{lowest:g} is above /schedule/learning_rate, {rate:g}"
        problems.append(Problem("/schedule/min_learning_rate", got, f"0 to {rate:g}"))
    if schedule.betas is not None and schedule.optimizer != "adamw":
        got = f"{schedule.optimizer} has none"
        problems.append(Problem("/schedule/betas", got, 'null, or /schedule/optimizer "adamw"'))
    matches = [group.match for group in schedule.parameter_groups]
    for number, match in enumerate(matches):
        if match in matches[:number]:
            where = f"/schedule/parameter_groups/{number}/match"
            problems.append(Problem(where, f"{match!r} is in an earlier group", "each text once"))
    if len(set(schedule.no_weight_decay)) < len(schedule.no_weight_decay):
        got = f"{schedule.no_weight_decay[0]!r} is there twice"
        problems.append(Problem("/schedule/no_weight_decay", got, "each word once"))
    if schedule.precision == "fp16" and not resources.gpus_per_worker:
        got = "fp16 on a CPU is slower than float32"
        problems.append(
            Problem("/schedule/precision", got, '"float32" or "bf16", or /resources/gpus_per_worker above 0')
        )
    return [*problems, *_rising_rates(schedule)]


def _rising_rates(schedule: Schedule) -> list[Problem]:
    """A group that begins below the lowest rate, which is every group's, would rise to it."""
    rate, lowest = schedule.learning_rate, schedule.min_learning_rate
    return [
        Problem(
            f"/schedule/parameter_groups/{number}/learning_rate",
            f"{group.learning_rate:g} × {rate:g} would rise to /schedule/min_learning_rate, {lowest:g}",
            f">= {lowest / rate:g}, or a lower /schedule/min_learning_rate",
        )
        for number, group in enumerate(schedule.parameter_groups)
        if group.learning_rate * rate < lowest <= rate
    ]


def accumulation_problems(schedule: Schedule, method: AnyMethod) -> list[Problem]:
    """Methods whose loss of a batch is not the mean of its parts' losses."""
    reason = of_a_batch(method)
    if schedule.accumulate == 1 or reason is None:
        return []
    got = f"{schedule.accumulate} parts do not give the loss of {method.kind} on a batch: {reason}"
    allowed = '1, or /method/scope "image"' if hasattr(method, "scope") else "1"
    return [Problem("/schedule/accumulate", got, allowed)]


def dataset_problems(dataset: AnyDataset, augmentation: Augmentation) -> list[Problem]:
    """Two words for one thing."""
    problems = ids_problems(dataset)
    low, high = augmentation.jitter
    if low > high:
        got = f"{low:g} is above {high:g}"
        problems.append(Problem("/augmentation/jitter", got, "[smallest, largest]"))
    scale = getattr(dataset, "scale", 1)
    for name, base in (("resize_base", augmentation.resize_base), ("test_size", augmentation.test_size)):
        if base != NATIVE and scale != 1:
            got = f"is given beside /dataset/scale {scale:g}, which it would undo"
            problems.append(Problem(f"/augmentation/{name}", got, '"native", or /dataset/scale 1'))
    return problems


def ids_problems(dataset: AnyDataset) -> list[Problem]:
    """What ids in masks mean is said once."""
    if not isinstance(dataset, Folder) or not dataset.zero_is_void or dataset.label_map is None:
        return []
    return [
        Problem(f"/dataset/{name}", f"is given beside /dataset/{other}", "one of the two")
        for name, other in (("zero_is_void", "label_map"), ("label_map", "zero_is_void"))
    ]


def fitting_problems(
    crop: tuple[int, int], base: Base, picture_size: tuple[int, int], scale: float
) -> list[Problem]:
    """A crop must fit the pictures, all of one `picture_size` = (height, width) after scaling."""
    if min(picture_size) < SMALLEST_CROP and base == NATIVE:
        height, width = picture_size
        after = f" at scale {scale:g}" if scale != 1 else ""
        wanted = f"pictures of at least {SMALLEST_CROP}×{SMALLEST_CROP} pixels{after and ' after scaling'}"
        where = "/dataset/scale" if scale != 1 else "/dataset"
        return [Problem(where, f"every picture is {height}×{width}{after}: no crop fits", wanted)]
    size = picture_size if base == NATIVE else fitted(picture_size, base)
    return [
        Problem(
            f"/schedule/crop_size/{axis}",
            f"{crop[axis]} is above the {side} of every picture, {size[axis]}",
            f"{SMALLEST_CROP} to {size[axis]}",
        )
        for axis, side in enumerate(("height", "width"))
        if crop[axis] > size[axis]
    ]


def variant_problems(recipe: str | None, variant: str) -> list[Problem]:
    """A variant is one of a recipe."""
    if recipe is not None or variant == "paper":
        return []
    return [Problem("/variant", f"{variant!r} is given without /recipe", "nothing, or a /recipe")]


def modes_problems(modes: Sequence[AnyMode], where: str) -> list[Problem]:
    """Of each, and what they ask of each other; `where` is the pointer of their list."""
    problems: list[Problem] = []
    names = [mode if isinstance(mode, str) else mode.name for mode in modes]
    for number, (mode, name) in enumerate(zip(modes, names, strict=True)):
        pointer = f"{where}/{number}"
        problems += mode_problems(mode, pointer)
        if name in names[:number]:
            there = pointer if isinstance(mode, str) else f"{pointer}/name"
            problems.append(Problem(there, f'"{name}" is in the list already', "each mode once"))
    return problems


def mode_problems(mode: AnyMode, where: str) -> list[Problem]:
    """Names stand for one mode, scales for one view each; `where` is the mode's pointer."""
    if isinstance(mode, str):
        return []
    problems = []
    if mode.name in MODES:
        got = f'"{mode.name}" is the name of a mode that is known'
        problems.append(Problem(f"{where}/name", got, f'another name, or "{mode.name}" for the object'))
    for number, scale in enumerate(mode.scales):
        if scale in mode.scales[:number]:
            got = f"{scale:g} is in the list already"
            problems.append(Problem(f"{where}/scales/{number}", got, "each scale once"))
    if isinstance(mode.inference, Slide):
        problems += slide_problems(mode.inference, f"{where}/inference")
    return problems


def slide_problems(slide: Slide, where: str) -> list[Problem]:
    """Windows must cover the picture, and not many times over; `where` is the object's pointer."""
    problems = []
    for axis, side in enumerate(("height", "width")):
        stride, window = slide.stride[axis], slide.window[axis]
        least = -(-window // _MOST_WINDOWS)
        if least <= stride <= window:
            continue
        why = "pixels lost" if stride > window else f"each pixel in {window // stride} windows"
        over = "above" if stride > window else f"below 1/{_MOST_WINDOWS} of"
        got = f"{stride} is {over} the window's {side}, {window}: {why}"
        problems.append(Problem(f"{where}/stride/{axis}", got, f"{least} to {window}"))
    return problems
