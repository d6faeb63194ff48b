"""mmsegmentation's own config files: which there are, and each as plain data."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import mmseg
from mmengine.config import Config

CONFIGS = Path(mmseg.__path__[0]) / ".mim" / "configs"


def file_names() -> list[str]:
    """FOLDER/NAME of every file that is a run of its own, without its ending; sorted."""
    files = CONFIGS.glob("*/*.py")
    return sorted(
        file.relative_to(CONFIGS).with_suffix("").as_posix() for file in files if file.parent.name != "_base_"
    )


def read_file(name: str) -> dict[str, Any]:
    """The file with all that it inherits, in JSON types: tuples are lists.

    Packages that the file wants imported are left alone.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that mmseg has since changed
        config = Config.fromfile(CONFIGS / f"{name}.py", import_custom_modules=False)
    plain: dict[str, Any] = json.loads(json.dumps(config.to_dict()))
    return plain


def head_list(heads: Any) -> list[dict[str, Any]]:
    """A model's heads under one key as a list: none, one, or several."""
    if not heads:
        return []
    return list(heads) if isinstance(heads, list) else [heads]
