"""The adjudicator's pages: cases to answer, and one case with its pictures side by side.

Rendered here; a small script zooms and sends the decision as the JSON API takes it. A reverse
proxy in front keeps the browser's session and puts the bearer token on every request, as for
the API; a foreign page cannot send decisions, which need a JSON body and an Idempotency-Key.
Images stand in the page itself, so that no address leads to one.
"""

import base64
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal
from uuid import UUID

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response

from biometrics import readmodel
from biometrics.access import PAGES
from biometrics.case_view import CaseView, FingerPicture, Side, open_case, states_of
from biometrics.context import App
from biometrics.engine.minutiae import Minutiae
from biometrics.engine.positions import FingerPosition
from biometrics.pages_words import WORDS
from epassport.http import Routes, View

Language = Literal["ru", "en"]

TICK_PIXELS = 14.0  # of a minutia's direction

_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'self';"
    " script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
}

routes = Routes(PAGES)
_templates = Environment(
    loader=PackageLoader("biometrics"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Mark:
    """A minutia on the picture: its place, and the end of its tick."""

    x: float
    y: float
    to_x: float
    to_y: float
    is_ending: bool


@dataclass(frozen=True)
class ShownFinger:
    source: str
    width: int
    height: int
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class ShownSide:
    face: str | None
    fingers: dict[str, ShownFinger]


@routes.query("page-adjudications", "/adjudications", reads=("records",))
async def cases_page(view: View[App], language: Language = "ru") -> Response:
    async with view.database.connection() as connection:
        tables = readmodel.records.on(connection)
        cases = await readmodel.cases_for(tables, view.actor, states_of(view.actor))
    return _page("cases.html", language, cases=[dict(case) for case in cases])


@routes.query("page-adjudication", "/adjudications/{case_id}", reads=("records",))
async def case_page(case_id: UUID, view: View[App], language: Language = "ru") -> Response:
    case = await open_case(view, case_id)
    return _page(
        "case.html",
        language,
        case=case,
        applicant=_shown(case.applicant),
        others=[_shown(other) for other in case.others],
        positions=_positions(case),
    )


@routes.query("page-style", "/pages/adjudication.css")
async def style(_view: View[App]) -> Response:
    return _file("adjudication.css", "text/css")


@routes.query("page-script", "/pages/adjudication.js")
async def script(_view: View[App]) -> Response:
    return _file("adjudication.js", "text/javascript")


def _positions(case: CaseView) -> list[FingerPosition]:
    """Fingers that any side has, in the standard's order."""
    there = {position for side in (case.applicant, *case.others) for position in side.fingers}
    return [position for position in FingerPosition if position in there]


def _shown(side: Side) -> ShownSide:
    fingers = {position.value: _finger(each) for position, each in side.fingers.items()}
    return ShownSide(None if side.face is None else _data("image/jpeg", side.face), fingers)


def _finger(finger: FingerPicture) -> ShownFinger:
    source, minutiae = _data("image/png", finger.png), finger.minutiae
    if minutiae is None:
        return ShownFinger(source, 0, 0, ())
    return ShownFinger(source, minutiae.width, minutiae.height, _marks(minutiae))


def _marks(minutiae: Minutiae) -> tuple[Mark, ...]:
    to_x = minutiae.x + TICK_PIXELS * np.cos(minutiae.directions)
    to_y = minutiae.y + TICK_PIXELS * np.sin(minutiae.directions)
    places = np.round(np.stack([minutiae.x, minutiae.y, to_x, to_y], axis=1), 1).tolist()
    kinds = minutiae.endings.tolist()
    return tuple(
        Mark(x, y, end_x, end_y, ending)
        for (x, y, end_x, end_y), ending in zip(places, kinds, strict=True)
    )


def _page(name: str, language: Language, **shown: object) -> Response:
    words = WORDS[language]
    text = _templates.get_template(name).render(language=language, words=words, **shown)
    return Response(text, media_type="text/html; charset=utf-8", headers=_PAGE_HEADERS)


def _file(name: str, media_type: str) -> Response:
    text = (files("biometrics") / "templates" / name).read_text()
    return Response(text, media_type=f"{media_type}; charset=utf-8")


def _data(media_type: str, image: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(image).decode()}"
