"""USER_ID GROUP_ID PROGRAM [ARGUMENT …]: becomes PROGRAM, as that user if we are root; ends with its parent.

Postgres refuses root, and a server must not outlive the tests, whatever ends them.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(user: str, group: str, *command: str) -> None:
    """Never returns."""
    parent = os.getppid()
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(int(group))
        os.setuid(int(user))
    if sys.platform == "linux":
        # After the change of user, which would take it back. SIGQUIT: Postgres ends at once.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)
        if os.getppid() != parent:
            sys.exit("the tests have ended already")
    os.execv(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
