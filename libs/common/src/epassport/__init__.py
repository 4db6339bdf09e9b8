"""epassport: the event-sourcing runtime of the five services. Knows no rule of a passport."""

from epassport.actor import Actor, Channel, Role
from epassport.catalog import Publication, TaskStart, publishes
from epassport.commands import Accepted, Conflict, Outcome, Rejected, Token
from epassport.decider import (
    Aggregate,
    Claim,
    DeadlinePassed,
    EndWait,
    Give,
    Refused,
    Release,
    StartWait,
    StreamId,
    Take,
)
from epassport.events import Recorded
from epassport.personal import Personal, Secret, sealed

__all__ = [
    "Accepted",
    "Actor",
    "Aggregate",
    "Channel",
    "Claim",
    "Conflict",
    "DeadlinePassed",
    "EndWait",
    "Give",
    "Outcome",
    "Personal",
    "Publication",
    "Recorded",
    "Refused",
    "Rejected",
    "Release",
    "Role",
    "Secret",
    "StartWait",
    "StreamId",
    "Take",
    "TaskStart",
    "Token",
    "publishes",
    "sealed",
]
