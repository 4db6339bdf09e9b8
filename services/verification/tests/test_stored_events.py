"""Every event that this service ever stored is read as the fact it was (`epassport.golden`)."""

from pathlib import Path

from epassport.golden import aggregates_of, faults


def test_every_stored_event_is_still_read() -> None:
    assert faults(Path(__file__).parent / "events", aggregates_of("verification")) == []
