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
