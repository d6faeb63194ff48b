"""mmsegmentation's own runner and ours, ready for single steps of a model from mmsegmentation's own file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mmseg.models
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.utils.data import DataLoader

from benchmarks._ade20k import blobs, make_criterion
from trainer.mmseg_adapter.head import attach
from trainer.mmseg_adapter.hooks import ProgressHook, SeedingHook, StepHook
from trainer.mmseg_adapter.isolation import quiet_logger
from trainer.mmseg_adapter.mmengine_compat import QuietRunner
from trainer.mmseg_adapter.step.loop import Batch, StepLoop  # noqa: F401 - train_cfg names it
from trainer.mmseg_adapter.step.optim_wrapper import StepOptimWrapper  # noqa: F401 - optim_wrapper too
from trainer.spec.methods import AnyMethod, Baseline, RegionRebalance
from trainer.spec.schedule import Precision

_CONFIGS = Path(mmseg.__file__).parent / ".mim" / "configs"
SUBJECTS = {
    "deeplabv3plus_r50": "deeplabv3plus/deeplabv3plus_r50-d8_4xb4-160k_ade20k-512x512.py",
    "upernet_swin_t": "swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512.py",
}


@dataclass(frozen=True)
class Kind:
    """How our runner takes a step; channels_last under bf16, where it is faster."""

    method: AnyMethod
    precision: Precision = "float32"

    @property
    def channels_last(self) -> bool:
        return self.precision == "bf16"


KINDS: dict[str, Kind | None] = {
    "mmseg": None,  # its own runner
    "float32": Kind(Baseline()),
    "float32_region": Kind(RegionRebalance()),
    "bf16": Kind(Baseline(), "bf16"),
    "bf16_region": Kind(RegionRebalance(), "bf16"),
}


class _Losses(Hook):  # type: ignore[misc]
    """Keeps the loss of each step, on its device."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        del runner, batch_idx, data_batch
        self.seen.append(outputs["loss"].detach())


class Training:
    """One runner, its model and optimiser built. The same weights, and the same draws in a step, for all."""

    def __init__(self, config: str, kind: Kind | None, size: int, directory: str) -> None:
        file = Config.fromfile(_CONFIGS / config)
        model = _model(file, kind, size)
        self._losses = _Losses()
        hooks = [SeedingHook(0), self._losses]
        nothing: Any = [0]  # steps get their batch directly
        common = {
            "model": model,
            "work_dir": directory,
            "train_dataloader": DataLoader(nothing, collate_fn=pseudo_collate),
            "param_scheduler": file.param_scheduler,
            "default_scope": "mmseg",
            "log_level": "ERROR",
            "experiment_name": f"{Path(config).stem}-{kind}",
        }
        self.runner: Any = _mmsegs(file, common, hooks) if kind is None else _ours(file, kind, common, hooks)
        self._begin()

    def _begin(self) -> None:
        """What `Runner.train` does before its first step."""
        runner = self.runner
        runner.model.train()
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
        self._loop = runner.train_loop
        for moment in ("before_run", "before_train", "before_train_epoch"):
            runner.call_hook(moment)

    @property
    def losses(self) -> list[float]:
        """Of all steps so far."""
        return [float(value) for value in self._losses.seen]

    def stepping(self, batch: Batch) -> Callable[[], None]:
        """A step with this batch, to be called again and again."""
        return lambda: self._loop.run_iter(batch)

    def resident_bytes(self) -> int:
        """Weights, buffers and the optimiser's state: what lives between steps."""
        optimiser = self.runner.optim_wrapper.optimizer
        state = [value for one in optimiser.state.values() for value in one.values()]
        held = [*self.runner.model.parameters(), *self.runner.model.buffers(), *state]
        return sum(value.nbytes for value in held if isinstance(value, torch.Tensor))


def _model(file: Config, kind: Kind | None, size: int) -> Any:
    """The file's model with random weights from one seed, and our criterion where it is ours."""
    config = file.model
    config.pretrained = None
    config.backbone.pop("init_cfg", None)
    config.data_preprocessor.size = (size, size)
    if not torch.cuda.is_available():
        for part in (config.backbone, config.decode_head, config.auxiliary_head):
            if part.norm_cfg.type == "SyncBN":
                part.norm_cfg.type = "BN"
    quiet_logger("build")  # mmengine lists every parameter it initialised
    torch.manual_seed(0)
    model: Any = MODELS.build(config)
    model.init_weights()
    if kind is not None:
        method = kind.method
        attach(model, lambda channels, align: make_criterion(method, channels, align, "all"), "all")
        if kind.channels_last:
            model.to(memory_format=torch.channels_last)
    return model


def _mmsegs(file: Config, common: dict[str, Any], hooks: list[Hook]) -> Runner:
    """Mmengine's Runner with the file's loop, optimiser and hooks."""
    return Runner(
        **common,
        train_cfg=file.train_cfg,
        optim_wrapper=file.optim_wrapper,
        default_hooks=file.default_hooks,
        custom_hooks=hooks,
        visualizer=file.visualizer,
        env_cfg=file.env_cfg,
    )


def _ours(file: Config, kind: Kind, common: dict[str, Any], hooks: list[Hook]) -> Runner:
    """Our Runner with the file's optimiser and rates."""
    fused = {"fused": True} if torch.cuda.is_available() else {}
    optimiser = {**file.optim_wrapper.optimizer, **fused}
    groups = {"paramwise_cfg": file.optim_wrapper.get("paramwise_cfg")}
    return QuietRunner(
        **common,
        train_cfg={"type": "StepLoop", "max_iters": 160_000, "channels_last": kind.channels_last},
        optim_wrapper={
            "type": "StepOptimWrapper",
            "optimizer": optimiser,
            "precision": kind.precision,
            **{name: value for name, value in groups.items() if value},
        },
        default_hooks=dict.fromkeys(("logger", "checkpoint", "sampler_seed")),
        custom_hooks=[*hooks, ProgressHook(50, lambda _: None), StepHook(lambda _: None)],
        visualizer={"type": "Visualizer", "name": common["experiment_name"], "vis_backends": []},
    )


def make_batch(batch: int, size: int) -> Batch:
    """As the loader gives it: pictures (3, size, size) uint8, and samples with their labels."""
    generator = torch.Generator().manual_seed(0)
    samples = []
    for number in range(batch):
        labels = PixelData(data=blobs(size, generator)[None])
        facts = {"img_shape": (size, size), "ori_shape": (size, size), "img_path": f"{number}.jpg"}
        samples.append(SegDataSample(gt_sem_seg=labels, metainfo=facts))
    shape = (3, size, size)
    pictures = [torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8) for _ in range(batch)]
    return {"inputs": pictures, "data_samples": samples}
