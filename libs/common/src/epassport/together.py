"""Questions of many callers in one statement: those asked while one is on its way go in the next.

Nobody waits for company: where the database is free, a question goes alone and at once
(docs/decisions/0040-what-many-ask-goes-in-one-statement.md).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from epassport.database import Connection, Database

Q = TypeVar("Q")
A = TypeVar("A")


class Together(Generic[Q, A]):
    def __init__(
        self,
        database: Database,
        answers: Callable[[Connection, Sequence[Q]], Awaitable[Sequence[A]]],
    ) -> None:
        """answers: one for each question, in their order; outside any transaction."""
        self._database = database
        self._answers = answers
        self._asked: list[tuple[Q, asyncio.Future[A]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def ask(self, question: Q) -> A:
        """Raises what the statement raised, which may have been another's question, too."""
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._asked.append((question, answer))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_all())
        return await answer

    async def _ask_all(self) -> None:
        try:
            while self._asked:
                await self._ask_some()
        finally:
            self._asking = None

    async def _ask_some(self) -> None:
        asked: list[tuple[Q, asyncio.Future[A]]] = []
        try:
            async with self._database.connection() as connection:
                asked, self._asked = self._asked, []
                answers = await self._answers(connection, [question for question, _ in asked])
        except BaseException as fault:
            if not asked:
                asked, self._asked = self._asked, []
            for _, waiting in asked:
                if not waiting.done():
                    waiting.set_exception(fault)
            if not isinstance(fault, Exception):
                raise
            return
        for (_, waiting), answer in zip(asked, answers, strict=True):
            if not waiting.done():
                waiting.set_result(answer)
