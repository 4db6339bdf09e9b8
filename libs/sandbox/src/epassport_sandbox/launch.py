"""Becomes the given command, with the promise that it does not outlive the process that asked.

Run as a script, never imported: `python launch.py PARENT_PID SIGNAL USER GROUP COMMAND…`.
A script of its own, because code between fork and exec of a process with threads may hang.
USER and GROUP are numbers; the launcher's own are left alone by giving them.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, death_signal, user, group = (int(argument) for argument in sys.argv[1:5])
    command = sys.argv[5:]
    if user != os.geteuid():
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)
    # The kernel forgets the wish when the user changes, hence after setuid.
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:  # it died before the wish was recorded
        sys.exit("the parent process is gone")
    os.execvp(command[0], command)  # noqa: S606 - there is no shell to quote for


main()
