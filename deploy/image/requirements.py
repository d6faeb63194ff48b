"""`python3 requirements.py EXTRA…`: what pyproject.toml asks for, a requirement a line, the project left out.

So the libraries are a layer of their own: a change of the code does not install them again.
"""

import sys
import tomllib
from pathlib import Path


def main(extras: list[str]) -> None:
    """Prints the project's dependencies and those of the extras; KeyError names an extra there is not."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    for group in (project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras)):
        print("\n".join(group))


if __name__ == "__main__":
    main(sys.argv[1:])
