"""The way into ``/admin`` and ``/metrics``: the admin token for scripts, and for a browser a login that gives a cookie.

A browser sends its cookie with whatever any page makes it send, so what would change something must have been made by
a page of ours. A token in a header is sent by nobody who does not know it.
"""

import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Final

from flask import Blueprint, Response, make_response, redirect, render_template, request, send_from_directory

from infra.local.limits import Strangers, TooMany
from shadows.errors import Rejected

COOKIE: Final = "staffcall_session"
SESSION_S: Final = 12 * 3600
SESSIONS: Final = 100  # at once; then the oldest ends
PAGES: Final = Path(__file__).parent / "pages"
GUARDED: Final = re.compile(r"/(admin|metrics)(/|$)|/buttons/register$")
OPEN: Final = frozenset({"/admin/login", "/admin/admin.css"})
READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
FORM_LIMIT: Final = 4096
# A page of ours without a line of script. "no-referrer" would have a browser hide where its form comes from.
PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
}

WORDS: Final = {
    "en": {
        "title": "Log in",
        "token": "Admin token",
        "enter": "Log in",
        "wrong": "That is not the admin token.",
        "wait": "Too many wrong tokens came from your address. Try again in {} s.",
        "where": "It is STAFFCALL_ADMIN_TOKEN, or else “admin” in tokens.json in the data folder.",
    },
    "ja": {
        "title": "ログイン",
        "token": "管理用トークン",
        "enter": "ログイン",
        "wrong": "管理用トークンが違います。",
        "wait": "同じ接続元から誤ったトークンが続きました。{}秒後にもう一度お試しください。",
        "where": "STAFFCALL_ADMIN_TOKEN の値、またはデータフォルダーの tokens.json にある admin の値です。",
    },
}


class Sessions:
    """Who is logged in, in memory: after a restart one logs in again."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock, self._lock = clock, Lock()
        self._ends: OrderedDict[bytes, int] = OrderedDict()

    def open(self) -> str:
        """Begin a session; the answer is its id, 256 random bits, of which only the digest is kept."""
        session = secrets.token_urlsafe(32)
        with self._lock:
            self._ends[_digest(session)] = self._clock() + SESSION_S * 1000
            while len(self._ends) > SESSIONS:
                self._ends.popitem(last=False)
        return session

    def is_open(self, session: str) -> bool:
        """Whether this is the id of a session that has not ended."""
        with self._lock:
            return self._ends.get(_digest(session), 0) > self._clock()

    def close(self, session: str) -> None:
        """End a session, if there is one."""
        with self._lock:
            self._ends.pop(_digest(session), None)


def _digest(session: str) -> bytes:
    return hashlib.sha256(session.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """What opens the admin's part.

    Attributes:
        token: the admin token.
        strangers: who guessed it wrong.
    """

    token: str = field(repr=False)
    sessions: Sessions
    strangers: Strangers = field(default_factory=Strangers)

    def keep_out(self) -> Response | None:
        """Keep everybody else out, whatever they ask for there; a browser is shown where to log in.

        Raises:
            Rejected: 401; 403, if another site's page made this request; 429, to whoever guesses.
        """
        if not GUARDED.match(request.path) or request.path in OPEN:
            return None
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme:
            self.check(token.strip() if scheme.lower() == "bearer" else "")
        elif not self.sessions.is_open(request.cookies.get(COOKIE, "")):
            if wants_page() and request.method in READING:
                return login_page(401)
            raise _unknown()
        elif request.method not in READING:
            of_our_own_page()
        return None

    def check(self, token: str) -> None:
        """See whether this is the admin token.

        Raises:
            Rejected: 401; 429, to whoever guesses: then the right one is not heard either, for a minute.
        """
        address = request.remote_addr or ""
        self.strangers.listen(address)
        if not hmac.compare_digest(token.encode("utf-8", "surrogatepass"), self.token.encode()):
            self.strangers.wrong(address, token)
            raise _unknown()


def _unknown() -> Rejected:
    return Rejected(401, "Authorization: expected 'Bearer <admin token>' (STAFFCALL_ADMIN_TOKEN)")


def wants_page() -> bool:
    """Whether this comes from a browser; whoever says nothing, or that anything will do, gets JSON."""
    accepted = request.accept_mimetypes
    return accepted["text/html"] > accepted["application/json"]


def of_our_own_page() -> None:
    """Take only what a page of ours made a browser send.

    Where the browser says how the page and this address are related, that counts; it does so over https and on this
    machine. Everywhere else the page's own host must be the one that is asked. No page can write either header.

    Raises:
        Rejected: 403.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin", "")
    own = site == "same-origin" if site else origin in (f"http://{request.host}", f"https://{request.host}")
    if not own:
        raise Rejected(403, "Origin: expected a page of our own, got another site's or none")


def blueprint(entrance: Entrance) -> Blueprint:
    """``/admin/login`` and ``/admin/logout``."""
    login = Blueprint("login", __name__, template_folder=str(PAGES))

    @login.get("/admin/login")
    def form() -> Response:
        return login_page(200)

    @login.get("/admin/admin.css")
    def style() -> Response:
        return send_from_directory(PAGES, "admin.css", max_age=0)

    @login.post("/admin/login")
    def enter() -> Any:
        if "Origin" in request.headers or "Sec-Fetch-Site" in request.headers:
            of_our_own_page()
        request.max_content_length = FORM_LIMIT
        try:
            entrance.check(request.form.get("token", "").strip())
        except Rejected as no:
            if not wants_page():
                raise
            return login_page(no.code, no)
        entrance.sessions.close(request.cookies.get(COOKIE, ""))
        return _with_cookie(entrance.sessions.open(), SESSION_S)

    @login.post("/admin/logout")
    def leave() -> Any:
        entrance.sessions.close(request.cookies.get(COOKIE, ""))
        return _with_cookie("", 0)

    return login


def _with_cookie(session: str, seconds: int) -> Any:
    """Back to ``/admin``, with this session.

    Whether the browser came by https is in its Origin, which no page writes; a proxy's word for it is not asked for.
    """
    answer = redirect("/admin", 303)
    by_https = request.is_secure or request.headers.get("Origin", "").startswith("https://")
    answer.set_cookie(
        COOKIE, session, max_age=seconds, path="/", secure=by_https, httponly=True, samesite="Strict"
    )
    return answer


def login_page(code: int, no: Rejected | None = None) -> Response:
    """The form, and what was wrong with what came by it."""
    lang = request.accept_languages.best_match(list(WORDS)) or "en"
    answer = make_response(render_template("login.html", lang=lang, words=WORDS[lang], wrong=no))
    answer.headers.update(PAGE_HEADERS)
    answer.status_code = code
    if isinstance(no, TooMany):
        answer.headers["Retry-After"] = str(no.wait_s)
    return answer
