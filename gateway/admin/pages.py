"""The pages: sign in, list violations, look at one. Everything works without JavaScript."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from pydantic import ValidationError

from filters import taxonomy
from gateway.admin.access import COOKIE, session_identity
from gateway.admin.bodies import read_text
from gateway.admin.parts import Parts, PartsOf
from gateway.admin.violations import Review, ViolationQuery
from gateway.admin.words import LANGUAGES, Words, preferred
from gateway.auth import SESSION_S, Identity
from gateway.store import CursorError, StoreUnavailable

router = APIRouter(include_in_schema=False)

LANGUAGE_COOKIE = "sluice_language"
MAX_FORM = 16 * 1024

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(default=True, default_for_string=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class _Page:
    """What every page knows: who looks, in which language."""

    def __init__(self, request: Request, parts: PartsOf) -> None:
        chosen = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
        self.words = Words(chosen if chosen in LANGUAGES else preferred(request.headers.get("accept-language", "")))
        self.request = request
        self.parts = parts
        self.away = False
        self.identity: Identity | None = None
        try:
            self.identity = session_identity(request, parts)
        except StoreUnavailable:
            self.away = True

    def show(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Render a template."""
        html = _templates.get_template(template).render(
            words=self.words,
            identity=self.identity,
            form_token=self.form_token(),
            switch=_with_language(self.request, self.words.other),
            taxonomy=taxonomy.CATEGORIES,
            **values,
        )
        response = HTMLResponse(html, status)
        if self.request.query_params.get("lang") in LANGUAGES:
            response.set_cookie(LANGUAGE_COOKIE, self.words.language, max_age=365 * 86400, samesite="lax")
        return response

    def tell(self, status: int, word: str) -> HTMLResponse:
        """A page that says one thing."""
        return self.show("message.html", status, message=self.words[word])

    def form_token(self) -> str:
        """Shows that a form was ours: another site cannot read it, so it cannot send it."""
        return self.parts.authenticator.tag("form " + self.request.cookies.get(COOKIE, ""))

    def is_ours(self, form: dict[str, str]) -> bool:
        """Whether a form was shown by us to this browser's session."""
        return form.get("token", "") == self.form_token()


PageOf = Annotated[_Page, Depends(_Page)]


async def _form(request: Request) -> dict[str, str]:
    fields = parse_qs(await read_text(request, MAX_FORM), keep_blank_values=True, max_num_fields=20)
    return {name: values[-1] for name, values in fields.items()}


FormOf = Annotated[dict[str, str], Depends(_form)]


def _with_language(request: Request, language: str) -> str:
    return "?" + urlencode(
        [*((k, v) for k, v in request.query_params.multi_items() if k != "lang"), ("lang", language)]
    )


def _to(place: str) -> RedirectResponse:
    return RedirectResponse(place, 303)


@router.get("/login")
def login_page(page: PageOf) -> Response:
    """Ask for a key."""
    return _to("/") if page.identity is not None else page.show("login.html", problem=None)


@router.post("/login")
def login(page: PageOf, form: FormOf) -> Response:
    """Trade a key for a session."""
    try:
        identity = page.parts.authenticator.identify(form.get("key", "").strip())
    except StoreUnavailable:
        return page.tell(503, "away")
    if identity is None:
        return page.show("login.html", 403, problem=page.words["wrong_key"])
    response = _to("/")
    session = page.parts.authenticator.open_session(identity)
    secure = page.request.url.scheme == "https"
    response.set_cookie(COOKIE, session, max_age=SESSION_S, httponly=True, samesite="strict", secure=secure)
    return response


@router.post("/logout")
def logout(page: PageOf, form: FormOf) -> Response:
    """Forget the session."""
    if not page.is_ours(form):
        return page.tell(403, "ended")
    response = _to("/login")
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


@router.get("/")
async def violations_page(page: PageOf) -> Response:
    """The latest violations, with the filters of the JSON API in the address."""
    if page.identity is None:
        return page.tell(503, "away") if page.away else _to("/login")
    return await run_in_threadpool(_list, page)


def _list(page: _Page) -> Response:
    given = {name: value for name, value in page.request.query_params.items() if value and name != "lang"}
    problem = None
    try:
        query = ViolationQuery.model_validate(given)
        found = page.parts.store.violations.list(query.where(), limit=query.limit, cursor=query.cursor)
    except (ValidationError, CursorError) as error:
        problem = f"{page.words['invalid_filter']}: {_reason(error)}"
        items, cursor = [], None
    except StoreUnavailable:
        return page.tell(503, "away")
    else:
        items, cursor = list(found.items), found.next_cursor
    older = None if cursor is None else "?" + urlencode({**given, "cursor": cursor})
    return page.show(
        "violations.html",
        400 if problem else 200,
        items=items,
        older=older,
        given=given,
        problem=problem,
        ruleset=page.parts.moderator.current.version,
        problems=page.parts.moderator.problems,
    )


def _reason(error: ValidationError | CursorError) -> str:
    if isinstance(error, CursorError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


@router.get("/violations/{violation_id}")
def violation_page(page: PageOf, violation_id: str) -> Response:
    """One violation with everything that is known of it."""
    if page.identity is None:
        return page.tell(503, "away") if page.away else _to("/login")
    try:
        item = page.parts.store.violations.get(violation_id)
    except StoreUnavailable:
        return page.tell(503, "away")
    if item is None:
        return page.tell(404, "not_found")
    return page.show("violation.html", item=item, record=item.as_json())


@router.post("/violations/{violation_id}/review")
def review(page: PageOf, form: FormOf, violation_id: str) -> Response:
    """Record a verdict and show the violation again."""
    if page.identity is None:
        return page.tell(503, "away") if page.away else _to("/login")
    if not page.is_ours(form):
        return page.tell(403, "ended")
    if not page.identity.may("review"):
        return page.tell(403, "no_right")
    try:
        wanted = Review.model_validate({"verdict": form.get("verdict"), "note": form.get("note", "")})
    except ValidationError:
        return page.tell(400, "ended")
    try:
        changed = _reviewed(page.parts, page.identity, violation_id, wanted)
    except StoreUnavailable:
        return page.tell(503, "away")
    return _to(f"/violations/{violation_id}") if changed else page.tell(404, "not_found")


def _reviewed(parts: Parts, identity: Identity, violation_id: str, wanted: Review) -> bool:
    changed = parts.store.violations.review(violation_id, wanted.verdict, reviewer=identity.name, note=wanted.note)
    if changed is not None:
        parts.store.audit.append(identity.name, "review", violation_id, {"verdict": wanted.verdict})
    return changed is not None
