"""Makes trainer/figures/document/vendor again: Vega as its authors build it, its interpreter, licences.

    python scripts/vendor_charts.py

Needs npm. Versions and digests are those of scripts/charts/package-lock.json; nothing of a package is run but
esbuild, which puts the interpreter's modules into one file.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
SOURCE, TARGET = ROOT / "scripts/charts", ROOT / "trainer/figures/document/vendor"
INTERPRETER = 'export { expressionInterpreter } from "vega-interpreter";\n'
TOOLS = ("esbuild", "@esbuild", "@types")  # not in what is kept


def main() -> int:
    """0 once the files are written."""
    with TemporaryDirectory() as scratch:
        work = Path(scratch)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCE / name, work)
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-fund", "--no-audit"], cwd=work, check=True)
        modules = work / "node_modules"
        TARGET.mkdir(exist_ok=True)
        shutil.copyfile(modules / "vega/build/vega.min.js", TARGET / "vega.min.js")
        bundle_interpreter(work)
        (TARGET / "LICENSES.txt").write_text(licences(modules), encoding="utf-8")
        told = {
            "made_by": "python scripts/vendor_charts.py",
            "versions": {
                name: version_of(modules / name) for name in ("vega", "vega-interpreter", "esbuild")
            },
            "files": {path.name: digest(path) for path in sorted(TARGET.glob("*.js"))},
        }
        (TARGET / "bundle.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return 0


def bundle_interpreter(work: Path) -> None:
    """One file that leaves `vegaInterpreter`, made by the program that esbuild's own script would start."""
    (work / "entry.js").write_text(INTERPRETER, encoding="utf-8")
    (program,) = (work / "node_modules/@esbuild").glob("*/bin/esbuild")
    options = [
        "--bundle",
        "--minify",
        "--format=iife",
        "--global-name=vegaInterpreter",
        "--legal-comments=none",
    ]
    out = TARGET / "vega-interpreter.min.js"
    subprocess.run([program, "entry.js", *options, f"--outfile={out}"], cwd=work, check=True)


def licences(modules: Path) -> str:
    """The licence of every package that may be in the files; one that several have is there once."""
    found: dict[str, list[str]] = {}
    for manifest in sorted([*modules.glob("*/package.json"), *modules.glob("@*/*/package.json")]):
        package = manifest.parent
        name = package.relative_to(modules).as_posix()
        if name.startswith(TOOLS):
            continue
        texts = [each for each in sorted(package.iterdir()) if each.name.lower().startswith("licen")]
        if not texts:
            raise SystemExit(f"{name} has no licence file")
        text = texts[0].read_text(encoding="utf-8").strip()
        found.setdefault(text, []).append(f"{name} {version_of(package)}")
    return "\n\n".join(f"{', '.join(names)}\n{'-' * 70}\n{text}" for text, names in found.items()) + "\n"


def version_of(package: Path) -> str:
    """As its manifest says."""
    version: str = json.loads((package / "package.json").read_text(encoding="utf-8"))["version"]
    return version


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
