"""A relay that a signal hits at the worst moment; run as a program by test_relay.py.

relay_that_stops.py DSN BOOTSTRAP killed N     dies when its Nth record is confirmed
relay_that_stops.py DSN BOOTSTRAP frozen N     stands still just before it sends its Nth
"""

import asyncio
import os
import signal
import sys
from typing import Any

from aiokafka import AIOKafkaProducer

from epassport.kafka import KafkaClients, KafkaSettings
from epassport.relay import Relay
from epassport.signals import Signals
from epassport_contracts import ServiceName


class Moment:
    def __init__(self, name: str, at: int) -> None:
        self.name = name
        self._at = at

    def passes(self, name: str) -> None:
        if name == self.name:
            self._at -= 1
            if self._at == 0:
                os.kill(os.getpid(), signal.SIGKILL if name == "killed" else signal.SIGSTOP)


class HitProducer(AIOKafkaProducer):  # type: ignore[misc]
    def __init__(self, moment: Moment, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._moment = moment

    async def send(self, *arguments: Any, **named: Any) -> Any:
        self._moment.passes("frozen")
        confirmed = await super().send(*arguments, **named)
        confirmed.add_done_callback(lambda _: self._moment.passes("killed"))
        return confirmed


class HitClients(KafkaClients):
    def __init__(self, bootstrap: str, moment: Moment) -> None:
        super().__init__(KafkaSettings(bootstrap), client_id="hit")
        self._moment = moment

    def producer(self, *, transactional_id: str | None = None) -> AIOKafkaProducer:
        return HitProducer(self._moment, **self.producer_arguments(transactional_id))


def main() -> None:
    dsn, bootstrap, name, at = sys.argv[1:]
    clients = HitClients(bootstrap, Moment(name, int(at)))
    asyncio.run(Relay(dsn, ServiceName.ENROLLMENT, clients, Signals()).run())


if __name__ == "__main__":
    main()
