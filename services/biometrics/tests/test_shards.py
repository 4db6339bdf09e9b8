"""A gallery kept in parts: every part is searched before anybody is judged."""

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest
from enrolled import (
    APPLICATION,
    CAPTURE,
    CASE,
    LATER,
    OTHER_HOLDER,
    REPLACE,
    conclude,
    given,
    received,
    requested,
    search,
    searched,
)

from biometrics.record_commands import ConcludeSearch, Search, Shard
from biometrics.record_events import BiometricsAccepted, OwnRecordMissing, ShardSearched
from biometrics.score_class import ScoreClass
from conftest import SETTLED_WITHIN_SECONDS, Bureau, Person, at_work, ready
from epassport.actor import Role
from epassport_sandbox.ports import free_port

THIRD_HOLDER = UUID(int=77)
ACCEPTED = BiometricsAccepted(LATER, APPLICATION, by_exception=False)


def part(index: int, found: Search) -> ConcludeSearch:
    return replace(conclude(found), shard=Shard(index, 2))


def told(index: int, found: Search) -> ShardSearched:
    return ShardSearched(LATER, APPLICATION, CAPTURE, index, found)


def both(one: Search) -> Search:
    return replace(one, gallery_size=2000, compared=2000)


def found(*classes: ScoreClass, holders: tuple[UUID, ...] = (OTHER_HOLDER,)) -> Search:
    return replace(search(*holders), classes=classes)


def test_one_part_alone_judges_nobody() -> None:
    given(received()).when(part(1, search())).then(told(1, search()))
    of_other = search(OTHER_HOLDER)
    given(received()).when(part(0, of_other)).then(told(0, of_other))


def test_the_last_part_concludes_the_search_of_all() -> None:
    last = [told(1, search()), searched(both(search())), ACCEPTED]
    given(received(), told(0, search())).when(part(1, search())).then(*last)


def test_whoever_any_part_finds_is_looked_at() -> None:
    one, other = found(ScoreClass.WEAK), search()
    last = [told(0, other), searched(both(one)), requested(OTHER_HOLDER)]
    given(received(), told(1, one)).when(part(0, other)).then(*last)


def test_who_is_found_in_two_parts_is_told_once_and_the_clearest_first() -> None:
    one = found(ScoreClass.CLEAR, ScoreClass.WEAK, holders=(THIRD_HOLDER, OTHER_HOLDER))
    other = found(ScoreClass.STRONG)
    classes = (ScoreClass.STRONG, ScoreClass.CLEAR)
    whole = both(found(*classes, holders=(OTHER_HOLDER, THIRD_HOLDER)))
    last = [told(1, other), searched(whole), requested(OTHER_HOLDER, THIRD_HOLDER)]
    given(received(), told(0, one)).when(part(1, other)).then(*last)


def test_a_part_that_answers_twice_counts_once() -> None:
    given(received(), told(0, search())).when(part(0, search())).then_nothing()
    whole = [received(), told(0, search()), told(1, search()), searched(both(search())), ACCEPTED]
    given(*whole).when(part(1, search())).then_nothing()


def test_the_own_record_may_be_in_any_part() -> None:
    own, other = search(own_matched=True), search(own_mixed_up=True)
    kind = REPLACE.kind
    assert kind is not None
    last = [told(0, own), searched(both(own)), ACCEPTED]
    given(received(kind), told(1, other)).when(part(0, own)).then(*last)
    mixed_up = OwnRecordMissing(LATER, APPLICATION, CAPTURE, mixed_up=True)
    last = [told(0, search()), searched(both(other)), mixed_up]
    given(received(kind), told(1, other)).when(part(0, search())).then(*last)


def test_a_new_capture_is_searched_in_every_part_anew() -> None:
    kind, nobody = REPLACE.kind, search()
    assert kind is not None
    missing = OwnRecordMissing(LATER, APPLICATION, CAPTURE)
    once = [told(0, nobody), told(1, nobody), searched(both(nobody)), missing]
    again = replace(received(kind), capture_id=CASE)
    command = replace(part(1, nobody), capture_id=CASE)
    seen = replace(told(1, nobody), capture_id=CASE)
    given(received(kind), *once, again).when(command).then(seen)


def test_every_capture_is_in_one_part() -> None:
    for capture in (UUID(int=n) for n in range(12)):
        assert [Shard(index, 3).holds(capture) for index in range(3)].count(True) == 1


@pytest.mark.stack
async def test_two_processes_with_half_a_gallery_each_find_everybody(bureau: Bureau) -> None:
    """While one half is away nobody is cleared; afterwards nobody was missed."""
    halves = [
        bureau.settings.model_copy(
            update={"http_port": free_port(), "engine_shards": 2, "engine_shard": index}
        )
        for index in (0, 1)
    ]
    async with at_work(halves[0]) as first:
        desk = replace(bureau, opened=first, url=f"http://127.0.0.1:{halves[0].http_port}")
        await ready(bureau.http, desk.url)
        newcomers = [bureau.person() for _ in range(4)]
        for person in newcomers:
            await desk.bring(person)
            await _reaches(desk, person, ["SamplesReceived", "ShardSearched"])
        async with at_work(halves[1]) as second:
            for person in newcomers:
                assert await desk.status(person, "accepted", "suspected") == "accepted"
            for person in [Person(each.finger) for each in newcomers]:
                await desk.bring(person, n=1)
                assert await desk.status(person, "accepted", "suspected") == "suspected"
            sizes = [await each.app.gallery.size() for each in (first, second)]
            assert min(sizes) > 0
            assert sum(sizes) == (await desk.get("/gallery", Role.SUPERVISOR))["size"]


async def _reaches(bureau: Bureau, person: Person, wanted: list[str]) -> None:
    async with asyncio.timeout(SETTLED_WITHIN_SECONDS):
        while await bureau.events(person) != wanted:  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.05)
