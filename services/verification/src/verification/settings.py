"""What verification reads from its environment beside the settings of every service."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from epassport.settings import Settings

STATUS_LIST_ID = 1
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
        if len(self.status_list_uri()) > MAX_URI_CHARACTERS:
            raise ValueError("public_url is too long for the small code of a card")
        return self

    def status_list_uri(self, list_id: int = STATUS_LIST_ID) -> str:
        base = self.public_url or f"http://{self.http_host}:{self.http_port}"
        return f"{base}/s/{list_id}"
