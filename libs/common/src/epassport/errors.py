"""The runtime's errors.

RuntimeFault
├── Transient            try again later; nothing was written
│   ├── GroupConflict    a row this group needed was taken by a group in flight
│   ├── KeyPending       a data key has not arrived yet
│   └── TransactionTooLong   a transaction or statement reached its bound and was ended
├── Erased               the person's keys are destroyed; final
├── RecordTooLarge       a contract event over 900 kB; refused at append
├── Poison               a record that cannot be read or applied, with its cause
├── NotThere             what an operator named is not there, or not in that state
├── NotForThis           what an operator ordered makes no sense for what is there
├── EndsProcess          the process ends by its own judgement: exit code 1 and this one line
├── NotReady             why a process is not ready; shown to the platform as it is
├── Unsafe               settings or keys that must not be used together; refuses start-up
└── NotVisibleYet        `?after=` was not reached within its bound
"""

from uuid import UUID


class RuntimeFault(Exception):
    """Root of the runtime's errors. Messages never hold personal data."""


class Transient(RuntimeFault):
    pass


class GroupConflict(Transient):
    pass


class KeyPending(Transient):
    def __init__(self, subject: UUID, purpose: str) -> None:
        super().__init__(subject, purpose)
        self.subject = subject
        self.purpose = purpose


class TransactionTooLong(Transient):
    """It held back every reader of events in the cluster."""


class Erased(RuntimeFault):
    def __init__(self, subject: UUID) -> None:
        super().__init__(subject)
        self.subject = subject


class RecordTooLarge(RuntimeFault):
    def __init__(self, topic: str, octets: int) -> None:
        super().__init__(topic, octets)


class Poison(RuntimeFault):
    def __init__(self, cause: str, detail: str = "") -> None:
        super().__init__(cause, detail)
        self.cause = cause
        self.detail = detail


class NotThere(RuntimeFault):
    pass


class NotForThis(RuntimeFault):
    """Its message says what to do instead."""


class EndsProcess(RuntimeFault):
    """Its message is shown as it is."""


class NotReady(RuntimeFault):
    pass


class Unsafe(RuntimeFault):
    pass


class NotVisibleYet(RuntimeFault):
    pass
