"""The sender over HTTP: clients choose stream and operation, so that they know what to look for."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from epassport import Outcome, Role
from epassport.access import AccessTable
from epassport.http import Call, Routes
from tests.faults.sender.tally import Count, Picture, tally

ACCESS = AccessTable({"count": {Role.OPERATOR}, "picture": {Role.OPERATOR}})
routes = Routes(ACCESS)


class CountBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    operation: UUID
    steps: Annotated[int, Field(ge=1, le=5)] = 1
    label: str | None = None


class PictureBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    operation: UUID


@routes.command("count", "/v1/tallies/{tally_id}/counts")
async def count(tally_id: UUID, body: CountBody, call: Call[None]) -> Outcome:
    command = Count(call.now, body.operation, body.steps, body.label)
    return await call.send(tally.stream(tally_id), command)


@routes.command("picture", "/v1/tallies/{tally_id}/pictures")
async def picture(tally_id: UUID, body: PictureBody, call: Call[None]) -> Outcome:
    command = Picture(call.now, body.operation, tally_id)
    return await call.send(tally.stream(tally_id), command)
