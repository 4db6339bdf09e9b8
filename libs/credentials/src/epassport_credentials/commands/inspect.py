"""`epassport-inspect`: what a code, token, chip file or certificate holds, without judging it.

    epassport-inspect card.png

Exit code: 0 shown, 3 nothing that could be read, 64 wrong usage, 70 the command itself failed.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from epassport_credentials.commands.ending import Exit, Parser, run_to_exit
from epassport_credentials.commands.reading import Unreadable, codes_in, is_paper, read_input
from epassport_credentials.described import describe
from epassport_credentials.described.outline import lines_of
from epassport_credentials.errors import InvalidCredential


def run() -> NoReturn:
    run_to_exit(main)


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        data = read_input(options.source)
        on_paper = is_paper(data)
        found = (
            [code.encode() for code in codes_in(data, page=options.page)] if on_paper else [data]
        )
        outlines = [describe(content) for content in found]
    except (Unreadable, InvalidCredential) as fault:
        sys.stdout.write(f"unreadable: {fault}\n")
        return Exit.UNREADABLE
    for outline in outlines:
        sys.stdout.write("\n".join(lines_of(outline)) + "\n")
    return Exit.GOOD


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="epassport-inspect",
        description="What a code, token, chip file or certificate holds. Nothing is checked.",
        epilog="exit: 0 shown, 3 unreadable, 64 wrong usage, 70 failed",
    )
    parser.add_argument("source", help="picture, PDF, text or binary file; - for stdin")
    parser.add_argument("--page", type=int, default=1, help="of a PDF, from 1")
    return parser
