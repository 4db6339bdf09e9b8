"""How the commands end: exit codes that a script can rely on.

Python itself ends a crash with 1 and argparse wrong usage with 2, which would pass for the
verdicts refused and unknown: here both have codes of their own.
"""

import argparse
import io
import sys
import traceback
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import NoReturn


class Exit(IntEnum):
    GOOD = 0
    REFUSED = 1
    UNKNOWN = 2
    UNREADABLE = 3
    USAGE = 64
    FAULT = 70


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(Exit.USAGE, f"{self.prog}: {message}\n")


def run_to_exit(command: Callable[[Sequence[str]], int]) -> NoReturn:
    """Run with the arguments of this process and end it.

    A screen that lacks a letter of the holder's name shows its code in its place.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = command(sys.argv[1:])
    except OSError as error:  # such as a portrait that cannot be written
        sys.stderr.write(f"{error}\n")
        code = Exit.FAULT
    except Exception:  # noqa: BLE001 - told in full, and the process ends
        traceback.print_exc()
        code = Exit.FAULT
    sys.exit(code)
