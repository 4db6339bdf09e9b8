"""What every contract event is: a fact with a business time, frozen, tolerant of new fields."""

from typing import ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict


class ContractEvent(BaseModel):
    """A fact that crosses a service border.

    Unknown members are ignored, so that a producer may add optional ones within a major
    version. The type on the wire is `<class name>`, its version `version`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: ClassVar[int] = 1
    at: AwareDatetime

    @classmethod
    def type_name(cls) -> str:
        return cls.__name__
