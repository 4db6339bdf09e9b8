"""`python -m <package> rebuild NAME`: what is asked for.

What a switch changes for readers is somebody's decision where the sets differ, and always where
it goes back: then `--operator` and `--reason` are asked for, and kept.
"""

import argparse
from dataclasses import dataclass

from epassport.operate import add_who_and_why, order_of
from epassport.operations import Order


@dataclass(frozen=True)
class RebuildWanted:
    """order: set where the switch needs one. back, drop: of what stands beside."""

    model: str
    order: Order | None = None
    back: bool = False
    drop: bool = False


def add_rebuild_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="NAME")
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument(
        "--accept-differences", action="store_true", help="switch although the sets differ"
    )
    ways.add_argument(
        "--back", action="store_true", help="read again what was read before the last switch"
    )
    ways.add_argument("--drop", action="store_true", help="remove what stands beside")
    add_who_and_why(parser, required=False)


def rebuild_of(parser: argparse.ArgumentParser, read: argparse.Namespace) -> RebuildWanted:
    """Prints usage and exits with 2 where who and why are missing."""
    if not (read.accept_differences or read.back):
        return RebuildWanted(read.model, drop=read.drop)
    if read.operator is None or read.reason is None:
        parser.error("--accept-differences and --back need --operator and --reason")
    return RebuildWanted(read.model, order_of(read), back=read.back)
