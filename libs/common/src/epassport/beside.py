"""A read model's second set of tables: made empty, compared, put in the first one's place, dropped.

Both sets have the same columns, storage and indexes under names that differ by `_beside`. What a
reader of each set has applied stands under its own name in `checkpoints`, `consumer_offsets`,
`consumer_sequences` and `parked`. They change places where both have applied the same events:
then positions and sequences are equal but for streams with parked records, and it is enough to
rename the tables and to exchange those streams.
"""

import re
from dataclasses import dataclass

from epassport.database import Connection
from epassport.readmodel import BESIDE, ReadModel

SWAP = "_swap"
DROP_ROWS = 5_000

_INDEX = re.compile(r"CREATE (?P<unique>UNIQUE )?INDEX \S+ ON \S+ (?P<rest>USING .*)", re.DOTALL)


@dataclass(frozen=True)
class Comparison:
    """One table of both sets. missing, additional, different: rows by their key; of the second
    set, as the first one has them, octet by octet. checksums: over all rows, in any order."""

    table: str
    rows: int
    rows_beside: int
    missing: int
    additional: int
    different: int
    checksum: int
    checksum_beside: int

    @property
    def is_equal(self) -> bool:
        """The checksums are made apart from the keys: they see what a row by row look misses."""
        by_key = self.missing + self.additional + self.different
        return by_key == 0 and self.checksum == self.checksum_beside

    def line(self) -> str:
        word = "equal" if self.is_equal else "different"
        return (
            f"{self.table}: {word}, {self.rows} rows read, {self.rows_beside} beside;"
            f" {self.missing} missing, {self.additional} additional, {self.different} different;"
            f" checksums {self.checksum & 0xFFFFFFFFFFFFFFFF:016x}"
            f" {self.checksum_beside & 0xFFFFFFFFFFFFFFFF:016x}"
        )


@dataclass(frozen=True)
class _Index:
    name: str
    definition: str
    is_primary: bool


async def make_tables(connection: Connection, model: ReadModel) -> None:
    """Empty, in the caller's transaction."""
    for table in model.table_names.values():
        second = f"{table}{BESIDE}"
        await connection.execute(
            f"CREATE TABLE {second} (LIKE {table} INCLUDING ALL EXCLUDING INDEXES)"
        )
        options = await connection.fetchval(
            "SELECT reloptions FROM pg_class WHERE oid = $1::text::regclass", table
        )
        if options:
            await connection.execute(f"ALTER TABLE {second} SET ({', '.join(options)})")
        for index in await _indexes(connection, table):
            await _make_index(connection, second, index)


async def _make_index(connection: Connection, table: str, index: _Index) -> None:
    shape = _INDEX.fullmatch(index.definition)
    if shape is None:
        raise AssertionError(index.definition)
    name = f"{index.name}{BESIDE}"
    unique = shape["unique"] or ""
    await connection.execute(f"CREATE {unique}INDEX {name} ON {table} {shape['rest']}")
    if index.is_primary:
        await connection.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT {name} PRIMARY KEY USING INDEX {name}"
        )


async def _indexes(connection: Connection, table: str) -> list[_Index]:
    rows = await connection.fetch(
        """
        SELECT c.relname AS name, pg_get_indexdef(i.indexrelid) AS definition, i.indisprimary
          FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
         WHERE i.indrelid = to_regclass($1) ORDER BY c.relname
        """,
        table,
    )
    return [_Index(*row) for row in rows]


async def have_one_shape(connection: Connection, model: ReadModel) -> bool:
    """Whether the second set still has columns and indexes of the first: a migration may have
    come."""
    for table in model.table_names.values():
        if await _columns(connection, table) != await _columns(connection, f"{table}{BESIDE}"):
            return False
        first = {f"{index.name}{BESIDE}" for index in await _indexes(connection, table)}
        second = {index.name for index in await _indexes(connection, f"{table}{BESIDE}")}
        if first != second:
            return False
    return True


async def _columns(connection: Connection, table: str) -> list[tuple[str, str, bool]]:
    rows = await connection.fetch(
        """
        SELECT attname, format_type(atttypid, atttypmod) AS type, attnotnull FROM pg_attribute
         WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
        """,
        table,
    )
    return [(row["attname"], row["type"], row["attnotnull"]) for row in rows]


async def gather_statistics(connection: Connection, model: ReadModel) -> None:
    """Without them the first queries after the switch would be planned for empty tables."""
    for table in model.beside().table_names.values():
        await connection.execute(f"ANALYZE {table}")


async def compare(connection: Connection, model: ReadModel) -> list[Comparison]:
    """connection: in a snapshot in which both sets have applied the same events.

    Octets and hashes of whole rows: each row's text, made four times, would cost three times that.
    """
    return [await _compare(connection, table) for table in model.table_names.values()]


async def _compare(connection: Connection, table: str) -> Comparison:
    keys = await connection.fetch(
        """
        SELECT a.attname AS name FROM pg_index AS i, pg_attribute AS a
         WHERE i.indrelid = $1::text::regclass AND i.indisprimary
           AND a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
         ORDER BY a.attnum
        """,
        table,
    )
    names = [row["name"] for row in keys]
    row = await connection.fetchrow(
        f"""
        SELECT count(a.{names[0]}) AS rows, count(b.{names[0]}) AS rows_beside,
               count(*) FILTER (WHERE b.{names[0]} IS NULL) AS missing,
               count(*) FILTER (WHERE a.{names[0]} IS NULL) AS additional,
               count(*) FILTER (WHERE a *<> b) AS different,
               coalesce(bit_xor(hash_record_extended(a, 0)), 0) AS checksum,
               coalesce(bit_xor(hash_record_extended(b, 0)), 0) AS checksum_beside
          FROM {table} AS a FULL JOIN {table}{BESIDE} AS b USING ({", ".join(names)})
        """  # noqa: S608 - names of the model and the catalog
    )
    if row is None:
        raise AssertionError("an aggregate always returns one row")
    return Comparison(table=table, **row)


async def change_places(connection: Connection, model: ReadModel) -> None:
    """In the caller's transaction, where both sets stand at the same place and stand still."""
    for table in model.table_names.values():
        await _exchange(connection, "TABLE", table)
        for index in await _indexes(connection, f"{table}{BESIDE}"):
            await _exchange(connection, "INDEX", index.name)
    streams = await connection.fetch(
        "SELECT DISTINCT topic, key FROM parked WHERE consumer = ANY($1::text[])",
        [model.reader, f"{model.reader}{BESIDE}"],
    )
    topics = [row["topic"] for row in streams]
    keys = [row["key"] for row in streams]
    for before, after in _round(model.reader):
        for table in ("parked", "consumer_sequences"):
            await connection.execute(
                f"""
                UPDATE {table} AS t SET consumer = $2
                  FROM unnest($3::text[], $4::text[]) AS s (topic, key)
                 WHERE t.consumer = $1 AND (t.topic, t.key) = (s.topic, s.key)
                """,  # noqa: S608
                before,
                after,
                topics,
                keys,
            )


async def _exchange(connection: Connection, kind: str, name: str) -> None:
    for before, after in _round(name):
        await connection.execute(f"ALTER {kind} {before} RENAME TO {after}")


def _round(name: str) -> list[tuple[str, str]]:
    return [
        (name, f"{name}{SWAP}"),
        (f"{name}{BESIDE}", name),
        (f"{name}{SWAP}", f"{name}{BESIDE}"),
    ]


async def drop(connection: Connection, model: ReadModel) -> None:
    """What a reader has applied goes in pages of their own: of a large model it is too much for
    one transaction."""
    second = model.beside()
    for table in second.table_names.values():
        await connection.execute(f"DROP TABLE IF EXISTS {table}")
    for state in ("consumer_sequences", "parked", "discarded"):
        deleted = DROP_ROWS
        while deleted == DROP_ROWS:
            status = await connection.execute(
                f"""
                DELETE FROM {state} WHERE ctid = ANY(ARRAY(
                    SELECT ctid FROM {state} WHERE consumer = $1 LIMIT $2))
                """,  # noqa: S608
                second.reader,
                DROP_ROWS,
            )
            deleted = int(status.removeprefix("DELETE "))
    await connection.execute("DELETE FROM consumer_offsets WHERE consumer = $1", second.reader)
    await connection.execute("DELETE FROM checkpoints WHERE reader = $1", second.reader)
