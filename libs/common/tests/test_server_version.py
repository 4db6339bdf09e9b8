"""A server that is too old is refused before anything is asked of it."""

import pytest

from epassport.database import OLDEST_POSTGRES, SchemaMismatch, refuse_old_server


def test_a_server_that_is_too_old_is_refused_in_one_line() -> None:
    with pytest.raises(SchemaMismatch, match=r"^PostgreSQL 14 is too old: 15 or newer$"):
        refuse_old_server(OLDEST_POSTGRES - 1)


def test_the_oldest_server_that_fits_is_taken() -> None:
    refuse_old_server(OLDEST_POSTGRES)
