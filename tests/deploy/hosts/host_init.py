"""NAME HOSTS_FILE PRIVATE SEEN: process 1 of a host made of namespaces. Ends, and all in it, when stdin does.

It gives the host its name, shared memory and a directory for temporary files of its own, as other machines
have. Then it does what every process 1 must: it takes up processes whose parents have gone.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys


def main(name: str, hosts_file: str, private: str, seen: str) -> None:
    """Returns when whoever started the host has closed its stdin, or has died.

    `hosts_file` becomes /etc/hosts, and the directory `private` is seen as `seen`, on this host alone.
    """
    socket.sethostname(name)
    for command in (
        ["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", "/dev/shm"],
        ["mount", "--bind", hosts_file, "/etc/hosts"],
        ["mount", "--bind", private, seen],
        ["ip", "link", "set", "lo", "up"],
    ):
        subprocess.run(command, check=True)
    signal.signal(signal.SIGCHLD, _reap)
    print("up", flush=True)
    sys.stdin.read()


def _reap(signum: int, frame: object) -> None:
    del signum, frame
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


if __name__ == "__main__":
    main(*sys.argv[1:])
