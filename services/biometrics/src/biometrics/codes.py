"""Reason codes that people choose: short, of a list that the office keeps, never free text."""

from typing import Annotated

from pydantic import StringConstraints

Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,60}$")]
