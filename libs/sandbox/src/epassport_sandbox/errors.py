"""What can go wrong in the sandbox; every message is one line that says what to do next.

SandboxError
├── StackUnavailable   PostgreSQL, Kafka, Java, Maven or the jars cannot be had here
└── ChildFailed        a started process died early, or was not ready in time
"""


class SandboxError(Exception):
    """Ancestor of everything the sandbox raises on purpose."""


class StackUnavailable(SandboxError):
    """The machine lacks something that the embedded stack needs."""


class ChildFailed(SandboxError):
    """A child process died early or was not ready in time; holds the tail of its log."""


def first_of_ours(errors: ExceptionGroup[Exception]) -> Exception:
    """What a person is told of several; the group itself where none is ours.

    Not by `except*`: Python 3.11.2 puts what is raised there into another group.
    """
    ours = errors.subgroup(SandboxError)
    return errors if ours is None else ours.exceptions[0]
