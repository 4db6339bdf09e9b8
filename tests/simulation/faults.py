"""What goes wrong. Each fault is a function that strikes once, or says that there is nothing to
strike: processes are killed and frozen in the middle of what they do.
"""

from collections.abc import Callable, Mapping

from tests.simulation.system import System

Fault = Callable[[System], bool]

FREEZE_TICKS = (100, 400)  # some wake up in time, some find their place taken


def kills(*names: str) -> Fault:
    def strike(system: System) -> bool:
        process = system.scheduler.busy_one_of(names)
        if process is not None:
            system.scheduler.kill(process)
        return process is not None

    return strike


def freezes(*names: str) -> Fault:
    def strike(system: System) -> bool:
        process = system.scheduler.busy_one_of(names)
        if process is not None:
            ticks = system.scheduler.random.randint(*FREEZE_TICKS)
            system.scheduler.freeze(process, ticks)
        return process is not None

    return strike


def _database_restarts(system: System) -> bool:
    system.scheduler.random.choice([system.source, system.sink]).restart()
    return True


def _sessions_end(system: System) -> bool:
    """A connection that breaks: the client learns of it at its next step."""
    database = system.scheduler.random.choice([system.source, system.sink])
    if database.sessions:
        system.scheduler.random.choice(list(database.sessions)).end()
    return bool(database.sessions)


def _broker_restarts(system: System) -> bool:
    system.broker.restart()
    return True


def _rebalances(system: System) -> bool:
    groups = list(system.broker.groups.values())
    if groups:
        system.scheduler.random.choice(groups).rebalance()
    return bool(groups)


def _sends_are_lost(system: System) -> bool:
    system.broker.lose = system.scheduler.random.choice([0.0, 0.3])
    return True


def _confirmations_are_lost(system: System) -> bool:
    system.broker.mishear = system.scheduler.random.choice([0.0, 0.3])
    return True


def _commands_come_twice(system: System) -> bool:
    system.twice = 0.5
    return True


def _records_come_again(system: System) -> bool:
    """What stands on a topic is written to it once more, late, as by a relay long gone."""
    log = system.scheduler.random.choice(system.broker.topics["facts"])
    if log:
        log.append(system.scheduler.random.choice(log))
    return bool(log)


def _scheduling_alone(_system: System) -> bool:
    """Nothing but another interleaving."""
    return True


_EACH: Mapping[str, Fault] = {
    "none: interleaving alone": _scheduling_alone,
    "kill -9 of a command's process": kills("api"),
    "kill -9 of a relay": kills("relay"),
    "kill -9 of a projector": kills("projector"),
    "kill -9 of a consumer": kills("consumer"),
    "SIGSTOP of a command's process": freezes("api"),
    "SIGSTOP of a relay": freezes("relay"),
    "SIGSTOP of a projector": freezes("projector"),
    "SIGSTOP of a consumer": freezes("consumer"),
    "database restart": _database_restarts,
    "broken connection to a database": _sessions_end,
    "broker restart": _broker_restarts,
    "rebalance": _rebalances,
    "sends lost": _sends_are_lost,
    "confirmations lost": _confirmations_are_lost,
    "duplicates on the topic": _records_come_again,
    "commands sent twice at once": _commands_come_twice,
}


def _everything(system: System) -> bool:
    return system.scheduler.random.choice(list(_EACH.values()))(system)


FAULTS: Mapping[str, Fault] = {**_EACH, "everything at once": _everything}
