"""What an engine of one's own needs on this machine: found, or installed with Debian's packages."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

_PACKAGES = {"dockerd": "docker.io", "debootstrap": "debootstrap", "iptables": "iptables"}
_PLUGINS = {"docker-compose": "docker-compose", "docker-buildx": "docker-buildx"}
_PLUGIN_DIRS = (
    "/usr/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/local/lib/docker/cli-plugins",
)
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_INSTALL_SECONDS = 300.0


class NoEngine(Exception):
    """No container engine can be had on this machine; the message says why."""


def need_tools(folder: Path) -> Path:
    """Returns the directory for DOCKER_CONFIG, with compose v2 and buildx; installs what is missing.

    Raises:
        NoEngine: we are not root, or a package cannot be had.
    """
    if os.geteuid() != 0:
        raise NoEngine("only root can start one, and make its base image")
    missing = [package for program, package in _PACKAGES.items() if shutil.which(program) is None]
    if missing:
        _apt("update", "-qq")
        _apt("install", "-y", "-qq", "--no-install-recommends", *missing)
    plugins = folder / "config" / "cli-plugins"
    plugins.mkdir(parents=True)
    absent = [name for name in _PLUGINS if not _copied(name, plugins)]
    if absent:
        _fetch_plugins(absent, folder / "apt", plugins)
    return plugins.parent


def _copied(name: str, plugins: Path) -> bool:
    """Whether the system has this plugin; Debian 12 has none, and its docker-compose is version 1."""
    for place in _PLUGIN_DIRS:
        if (Path(place) / name).is_file():
            shutil.copy2(Path(place) / name, plugins / name)
            return True
    return False


def _fetch_plugins(names: list[str], folder: Path, plugins: Path) -> None:
    """From the next Debian's packages, unpacked and not installed: they need its C library's version 2.34."""
    if not _KEYRING.is_file():
        raise NoEngine(f"{', '.join(names)}: not in {', '.join(_PLUGIN_DIRS)}, and this is no Debian")
    for each in ("lists/partial", "cache/archives/partial", "state", "unpacked"):
        (folder / each).mkdir(parents=True)
    (folder / "sources.list").write_text(
        f"deb [signed-by={_KEYRING}] {_mirror()} trixie main\n", encoding="ascii"
    )
    configuration = folder / "apt.conf"
    configuration.write_text(
        f'Dir::State "{folder}/state";\n'
        f'Dir::State::lists "{folder}/lists";\n'
        'Dir::State::status "/dev/null";\n'
        f'Dir::Cache "{folder}/cache";\n'
        f'Dir::Etc::sourcelist "{folder}/sources.list";\n'
        'Dir::Etc::sourceparts "-";\n'
        'APT::Sandbox::User "root";\n',
        encoding="ascii",
    )
    _apt("update", "-qq", configuration=configuration)
    _apt("download", "-qq", *(_PLUGINS[name] for name in names), configuration=configuration)
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, folder / "unpacked"], check=True)
    for name in names:
        (found,) = (path for path in folder.glob(f"unpacked/usr/**/cli-plugins/{name}") if path.is_file())
        shutil.copy2(found, plugins / name)


def _mirror() -> str:
    """Where this machine has Debian's packages from."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    found = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    mirrors = [address for address in found if "security" not in address]
    if not mirrors:
        raise NoEngine("apt knows no mirror of Debian")
    return mirrors[0]


def _apt(*arguments: str, configuration: Path | None = None) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    if configuration is not None:
        environment["APT_CONFIG"] = str(configuration)
    try:
        done = subprocess.run(
            ["apt-get", *arguments],
            cwd=configuration.parent if configuration else None,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise NoEngine("there is none, and no apt-get to install it with") from None
    except subprocess.TimeoutExpired:
        raise NoEngine(f"apt-get {arguments[0]} took more than {_INSTALL_SECONDS:.0f} s") from None
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise NoEngine(f"apt-get {' '.join(arguments)}: {words[-1] if words else 'no words'}")
