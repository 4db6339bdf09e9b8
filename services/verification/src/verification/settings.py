"""What verification reads from its environment beside the settings of every service."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from epassport.settings import Settings

FIRST_STATUS_LIST = 1
MAX_STATUS_LISTS = 99  # of 2^20 entries each: a hundred million documents
MAX_URI_CHARACTERS = 32  # what fits into the small code of a card at QR version 10-M


class VerificationSettings(Settings):
    """The address goes into every card's codes, so it is for life."""

    public_url: Annotated[
        str | None, StringConstraints(pattern=r"^https?://[!-~]*[^/]$", max_length=120)
    ] = Field(default=None, description="where verifiers reach this service, without a last slash")

    @model_validator(mode="after")
    def _refuse_unsafe_address(self) -> Self:
        if self.profile == "production" and not (self.public_url or "").startswith("https://"):
            raise ValueError("production needs a public_url over https")
        if len(self.status_list_uri(MAX_STATUS_LISTS)) > MAX_URI_CHARACTERS:
            raise ValueError("public_url is too long for the small code of a card")
        return self

    def status_list_uri(self, list_id: int = FIRST_STATUS_LIST) -> str:
        return f"{self._base()}/s/{list_id}"

    def numbers_of_lists(self) -> dict[str, int]:
        return {self.status_list_uri(number): number for number in range(1, MAX_STATUS_LISTS + 1)}

    def aggregation_uri(self) -> str:
        return f"{self._base()}/v1/status-lists"

    def _base(self) -> str:
        return self.public_url or f"http://{self.http_host}:{self.http_port}"
