"""The service lives without what only jobs need: its image holds neither Ray nor torch."""

from __future__ import annotations

import subprocess
import sys

from tests.paths import ROOT

# What the extra `train` brings and `service` does not, by the names that are imported.
_NOT_THERE = "cv2 matplotlib mlflow mmcv mmengine mmseg optuna pandas pynvml"
_NOT_THERE += " ray requests scipy simplejpeg sklearn torch"
_PROGRAM = f"""
import importlib, pkgutil, sys, tempfile

NOT_THERE = frozenset({_NOT_THERE.split()!r})

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in NOT_THERE:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refuse())
import service
for module in pkgutil.walk_packages(service.__path__, "service."):
    if not module.name.endswith((".__main__", "migrations.env")) and ".versions." not in module.name:
        importlib.import_module(module.name)

from service.api.app import create_app
from service.migrations import migrate
from service.shared.settings import Settings

with tempfile.TemporaryDirectory() as directory:
    settings = Settings(data_dir=directory, ray_address="http://192.0.2.1:8265")
    migrate(settings)
    print(len(create_app(settings).openapi()["paths"]))
"""


def test_the_service_without_ray_and_torch() -> None:
    """Every module of it is imported, the database migrated, and the application made."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10
