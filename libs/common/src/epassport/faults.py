"""Which faults pass by themselves. Those are waited out; a record is never skipped for one."""

import asyncpg
from aiokafka.errors import KafkaError
from asyncpg import exceptions as pg

from epassport.errors import Transient

_PASSING = (
    Transient,
    KafkaError,
    OSError,
    TimeoutError,
    asyncpg.InternalClientError,  # the server ended the session between two of our messages
    pg.PostgresConnectionError,
    pg.TransactionRollbackError,  # serialization failure, deadlock
    pg.InsufficientResourcesError,  # disk full, too many connections
    pg.OperatorInterventionError,  # shutdown, statement timeout, cannot connect now
    pg.LockNotAvailableError,
    pg.IdleInTransactionSessionTimeoutError,
    pg.TransactionTimeoutError,
    pg.ReadOnlySQLTransactionError,  # a failover: connected to what is now a replica
    pg.PostgresSystemError,
)


def is_transient(error: BaseException) -> bool:
    """asyncpg's InterfaceError says that a connection or pool is closed; where it is a ValueError
    too, that an argument does not fit, which no waiting mends."""
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError)
    return isinstance(error, _PASSING)
