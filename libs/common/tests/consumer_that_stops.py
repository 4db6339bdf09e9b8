"""A member of a consumer group that stands still at the worst moment; run by test_zombies.py.

consumer_that_stops.py DSN BOOTSTRAP TOPIC MEMBER WHERE N

WHERE: before the transaction of its Nth record, or within it, with the record applied
MEMBER: its lasting name in the group, or - for none
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kafka_notes import SERVICE, Notes, clients_of, topic_named

from epassport.applying import Applier, FenceLost
from epassport.consumer import ConsumerRunner
from epassport.database import Connection, Database
from epassport.kafka import KafkaClients
from epassport.records import Incoming
from epassport_contracts.registry import Cleanup, Topic


class Moment:
    def __init__(self, at: int) -> None:
        self._at = at

    def passes(self, records: int) -> None:
        was, self._at = self._at, self._at - records
        if was > 0 >= self._at:
            os.kill(os.getpid(), signal.SIGSTOP)


class StandingStill(Notes):
    def __init__(self, topic: Topic, moment: Moment | None) -> None:
        super().__init__(topic)
        self._moment = moment

    async def apply(self, connection: Connection, records: Sequence[Incoming]) -> None:
        await super().apply(connection, records)
        if self._moment is not None:
            self._moment.passes(len(records))


def watch_slices(moment: Moment | None) -> None:
    """Stands still before a slice; says so where somebody else has applied one meanwhile."""
    begin: Any = Applier.apply

    async def apply(self: Applier, partition: int, expected: int, raws: Sequence[Any]) -> int:
        if moment is not None:
            moment.passes(len(raws))
        try:
            return int(await begin(self, partition, expected, raws))
        except FenceLost:
            sys.stdout.write("fenced\n")
            sys.stdout.flush()
            raise

    Applier.apply = apply  # type: ignore[method-assign]


async def main() -> None:
    dsn, bootstrap, name, member, where, at = sys.argv[1:]
    moment, topic = Moment(int(at)), topic_named(name, cleanup=Cleanup.COMPACTED, partitions=3)
    settings = clients_of(bootstrap).settings
    settings = replace(settings, group_instance_id=None if member == "-" else member)
    watch_slices(moment if where == "before" else None)
    handler = StandingStill(topic, moment if where == "within" else None)
    database = await Database.connect(dsn)
    clients = KafkaClients(settings, client_id="stops")
    await ConsumerRunner(database, SERVICE, [handler], clients, topics={name: topic}).run()


if __name__ == "__main__":
    asyncio.run(main())
