"""Runs the programs of model cards where neither this project nor mmsegmentation can be imported.

`python -IB run_snippets.py PROCESS FOLDER…`: prints what each prints, between lines of its folder.
"""

from __future__ import annotations

import os
import re
import runpy
import sys
from pathlib import Path


def main(blocking: str, *folders: str) -> None:
    sys.meta_path.insert(0, runpy.run_path(blocking)["Blocker"]())
    for folder in folders:
        os.chdir(folder)
        (program,) = re.findall(
            r"```python\n(.*?)```", Path("README.md").read_text(encoding="utf-8"), re.DOTALL
        )
        print(f"== {Path(folder).name}", flush=True)
        exec(compile(program, "README.md", "exec"), {"__name__": "snippet"})


if __name__ == "__main__":
    main(*sys.argv[1:])
