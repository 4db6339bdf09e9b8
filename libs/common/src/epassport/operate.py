"""`python -m <package> operate …`: what operators see and do, on the command line.

Each answer is one line of JSON. Who acts stands beside why: `--operator` names the person, the
record also keeps under which account of the machine it was done.
"""

import argparse
import getpass
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import orjson
from pydantic import BaseModel

from epassport import overview, waits
from epassport.actor import Actor, Role
from epassport.database import Database
from epassport.errors import EndsProcess, NotForThis, NotThere
from epassport.operations import MAX_ALLOWANCE, Found, Operations, Order, Place
from epassport.parking import NotDiscardable
from epassport.progress import ShownProgress
from epassport.republish import NumbersUnknown
from epassport.waits import What

_PLACE = ("consumer", "topic", "partition", "offset")

_LISTS = {
    "parked": "streams that are held, longest first",
    "tasks": "tasks that gave up",
    "refusals": "refused reactions, undeclared ones first",
    "deadlines": "deadlines that are due and not sent yet, failing ones first",
    "waits": "everything overdue, and what may be ordered for it",
    "circuits": "consumers that stand still, longest first, and allowances for bad records",
    "actions": "what operators did, newest first",
}

_ORDERS = {
    "replay": ("try a parked stream again, in order", _PLACE),
    "discard": ("put one parked record away for good", _PLACE),
    "retry-task": ("a stuck task is due at once", ("task_id",)),
    "abandon-task": ("a stuck task is not done any more", ("task_id",)),
    "close-refusal": ("an undeclared refusal has been dealt with", ("refusal_id",)),
    "retry-deadline": ("an overdue deadline is sent again at once", ("stream", "kind")),
    "retry": ("try what is overdue again at once", ("wait",)),
    "override": ("an overdue wait is not waited for any more", ("wait",)),
    "reject": ("what is overdue is given up", ("wait",)),
    "allow": ("let a consumer park so many bad records", ("consumer", "topic", "records")),
    "republish": ("send a stream's records again, to whoever lacks one", ("stream",)),
    "republish-all": ("the same for all streams, where a topic was lost", ()),
    "begin-again": ("read a topic that was made anew from its beginning", ("consumer", "topic")),
}


def parse_operation(program: str, arguments: Sequence[str]) -> argparse.Namespace:
    """Prints usage and exits with 2 where they do not fit."""
    parser = argparse.ArgumentParser(prog=f"python -m {program} operate", allow_abbrev=False)
    what = parser.add_subparsers(dest="what", required=True, metavar="what")
    for name, help_ in _LISTS.items():
        one = what.add_parser(name, help=help_)
        one.add_argument("--limit", type=_between(1, overview.MAX_LIMIT), default=overview.LIMIT)
    records = what.add_parser("parked-records", help="every parked record of one stream")
    _add(records, _PLACE)
    records.add_argument("--limit", type=_between(1, overview.MAX_LIMIT), default=overview.LIMIT)
    for name, (help_, names) in _ORDERS.items():
        one = what.add_parser(name, help=help_)
        _add(one, names)
        add_who_and_why(one, required=True)
    return parser.parse_args(arguments)


def add_who_and_why(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument("--operator", required=required, type=_text, help="who gives this order")
    parser.add_argument("--reason", required=required, type=_text, help="why; names no person")


def order_of(read: argparse.Namespace) -> Order:
    """A new one, by the account under which this runs."""
    account = f"command-line:{_account()}"
    actor = Actor(account, read.operator, frozenset({Role.PLATFORM_OPERATOR}))
    return Order(uuid4(), actor, read.reason)


def _account() -> str:
    """In a container it may have no name: then its number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the latter from Python 3.13 on
        return str(os.getuid())


def _add(parser: argparse.ArgumentParser, names: Sequence[str]) -> None:
    types: Mapping[str, Callable[[str], Any]] = {
        "partition": _between(0, 2**31 - 1),
        "offset": _between(0, 2**63 - 1),
        "refusal_id": _between(0, 2**63 - 1),
        "records": _between(0, MAX_ALLOWANCE),
        "task_id": UUID,
    }
    for name in names:
        parser.add_argument(name, metavar=name.upper(), type=types.get(name, str))


async def operate(operations: Operations, database: Database, read: argparse.Namespace) -> None:
    """Raises EndsProcess with one line where the order cannot be carried out."""
    try:
        answers = (
            await _list(operations, database, read)
            if read.what in _LISTS or read.what == "parked-records"
            else [await _act(operations, read)]
        )
    except (NotThere, NotForThis, NotDiscardable, NumbersUnknown) as refusal:
        raise EndsProcess(str(refusal)) from None
    for answer in answers:
        tree = answer.model_dump() if isinstance(answer, BaseModel) else answer
        sys.stdout.write(orjson.dumps(tree, default=str).decode() + "\n")
    sys.stdout.flush()


async def _list(
    operations: Operations, database: Database, read: argparse.Namespace
) -> Sequence[overview.Seen]:
    async with database.connection() as connection:
        match read.what:
            case "parked":
                return await overview.parked_streams(connection, read.limit)
            case "parked-records":
                return await overview.parked_records(connection, _place(read), read.limit)
            case "tasks":
                return await overview.stuck_tasks(connection, read.limit)
            case "refusals":
                return await overview.open_refusals(connection, read.limit)
            case "deadlines":
                offset = operations.clock.offset
                return await overview.overdue_deadlines(connection, offset, read.limit)
            case "waits":
                return await waits.overdue_waits(connection, operations.clock.offset, read.limit)
            case "circuits":
                return await overview.circuits(connection, read.limit)
            case _:
                return await overview.actions(connection, read.limit)


async def _act(operations: Operations, read: argparse.Namespace) -> Found:
    order = order_of(read)
    found = await _carry_out(operations, order, read)
    return {"action_id": str(order.action_id), "found": found}


async def _carry_out(operations: Operations, order: Order, read: argparse.Namespace) -> Found:
    match read.what:
        case "replay":
            return await operations.replay(order, _place(read))
        case "discard":
            return await operations.discard(order, _place(read))
        case "retry-task":
            return await operations.retry_task(order, read.task_id)
        case "abandon-task":
            return await operations.abandon_task(order, read.task_id)
        case "close-refusal":
            return await operations.close_refusal(order, read.refusal_id)
        case "retry-deadline":
            return await operations.retry_deadline(order, read.stream, read.kind)
        case "retry" | "override" | "reject":
            return await waits.carry_out(operations, order, What(read.what), read.wait)
        case "republish":
            return await operations.republish(order, read.stream)
        case "republish-all":
            return await operations.republish_all(order, ShownProgress("republish"))
        case "begin-again":
            return await operations.begin_again(order, read.consumer, read.topic)
        case _:
            return await operations.allow(order, read.consumer, read.topic, read.records)


def _place(read: argparse.Namespace) -> Place:
    return Place(read.consumer, read.topic, read.partition, read.offset)


def _between(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"a number from {least} to {most}")
        return int(text)

    return number


def _text(text: str) -> str:
    stripped = text.strip()
    if not 3 <= len(stripped) <= 300 or "\0" in stripped:
        raise argparse.ArgumentTypeError("3 to 300 characters")
    return stripped
