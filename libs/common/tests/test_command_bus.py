"""The command bus: which commands may share a group, and who waits for the next."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from shelf_aggregate import PutBox
from shelf_store import AT, envelope

from epassport import Accepted, Rejected
from epassport.commands import CommandBus, Envelope, Idempotency, Outcome


class Groups:
    """Writes down every group and accepts all of it, but for streams named `bad`."""

    def __init__(self) -> None:
        self.seen: list[list[str]] = []

    async def execute(self, envelopes: Sequence[Envelope]) -> list[Outcome | Exception]:
        names = [one.stream.removeprefix("shelf/") for one in envelopes]
        self.seen.append(names)
        return [
            Rejected("bad") if name == "bad" else Accepted(one.stream, n, None, {})
            for n, (name, one) in enumerate(zip(names, envelopes, strict=True), start=1)
        ]


@asynccontextmanager
async def running(groups: Groups) -> AsyncIterator[CommandBus]:
    bus = CommandBus(groups.execute)
    task = asyncio.create_task(bus.run())
    try:
        yield bus
    finally:
        task.cancel()
        await asyncio.wait({task})


def put(stream: str, key: str | None = None) -> Envelope:
    idempotency = None if key is None else Idempotency("somebody|put", key, b"body")
    return envelope(stream, PutBox(AT), idempotency=idempotency)


async def all_of(groups: Groups, *sent: Envelope) -> list[Outcome]:
    async with running(groups) as bus:
        return list(await asyncio.gather(*(bus.execute(one) for one in sent)))


async def test_a_group_holds_a_hundred_commands_and_the_rest_wait_for_the_next() -> None:
    groups = Groups()
    names = [f"s{n}" for n in range(250)]
    outcomes = await all_of(groups, *map(put, names))
    assert groups.seen == [names[:100], names[100:200], names[200:]]
    assert outcomes[100] == Accepted(put("s100").stream, 1, None, {})


async def test_two_commands_for_one_stream_are_in_two_groups_in_the_order_they_came() -> None:
    groups = Groups()
    await all_of(groups, put("a"), put("b"), put("a"), put("c"), put("a"))
    assert groups.seen == [["a", "b", "c"], ["a"], ["a"]]


async def test_two_commands_with_one_idempotency_key_are_in_two_groups() -> None:
    groups = Groups()
    await all_of(groups, put("a", "k"), put("b", "k"), put("c", "other"))
    assert groups.seen == [["a", "c"], ["b"]]


async def test_nobody_overtakes_a_command_that_waits_for_the_next_group() -> None:
    """The third shares nothing with the first, but its key with the second."""
    groups = Groups()
    await all_of(groups, put("a", "k"), put("a", "l"), put("b", "l"))
    assert groups.seen == [["a"], ["a"], ["b"]]


async def test_each_caller_gets_the_outcome_of_its_own_command() -> None:
    outcomes = await all_of(Groups(), put("a"), put("bad"), put("c"))
    assert [type(outcome) for outcome in outcomes] == [Accepted, Rejected, Accepted]


async def test_a_fault_of_the_whole_group_reaches_every_caller_and_the_next_group_goes_on() -> None:
    class FailsOnce(Groups):
        async def execute(self, envelopes: Sequence[Envelope]) -> list[Outcome | Exception]:
            outcomes = await super().execute(envelopes)
            if len(self.seen) == 1:
                raise OSError("network is unreachable")
            return outcomes

    async with running(FailsOnce()) as bus:
        first = await asyncio.gather(
            bus.execute(put("a")), bus.execute(put("b")), return_exceptions=True
        )
        assert [type(outcome) for outcome in first] == [OSError, OSError]
        assert isinstance(await bus.execute(put("a")), Accepted)
