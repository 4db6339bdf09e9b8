"""Settings of the two services under fire: as everywhere, but for a shorter session."""

from dataclasses import replace
from datetime import timedelta

from epassport.kafka import KafkaSettings
from epassport.settings import Settings

SESSION = timedelta(seconds=6)
"""The least that a broker allows as it comes: a round need not wait half a minute for a member
that was killed, and a zombie can be had in seconds."""


class FaultsSettings(Settings):
    def kafka(self) -> KafkaSettings:
        return replace(super().kafka(), session_timeout=SESSION)
