"""Asking Slack whether a call would reach everybody: token, scopes, channel, people, Socket Mode, clock; and who they are.

Nothing here posts but :func:`of_post`, and nothing is claimed that Slack did not say: what a missing scope hides is
named with the scope that would show it.
"""

import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

from slack_sdk.web import WebClient

from shadows.errors import Rejected
from shadows.finding import Finding, right, unknown, wrong
from shadows.telling import NotTold
from shadows.trouble import Trouble
from slack_bridge.manifest import HOURS
from slack_bridge.refusals import SOCKET_MODE, refusal_of
from slack_bridge.tellers import bounded

SLACK: Final = "slack"
TEST_WORDS: Final = "Staff Call: a test, nobody waits"
PATIENCE_S: Final = 60.0
LEAST_WAIT_S: Final = 1.0  # who is told to wait for no time at all asks no faster than that
CLOCK_S: Final = 5.0
PAGE: Final = 1000
POSTING: Final = "chat:write"
MENTIONED: Final = "app_mentions:read"
REACTED: Final = "reactions:read"
COMMANDED: Final = "commands"
BY_EMAIL: Final = "users:read.email"
HISTORY: Final = {False: "channels:history", True: "groups:history"}  # of a public and of a private channel

_NETWORK: Final = "Look at this machine's network, at SLACK_API_URL and at status.slack.com, and try again."
_PERSON: Final = refusal_of(200, "user_not_found").fix
_ADDRESS: Final = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_UNSEEN: Final = frozenset({"user_not_found", "user_not_visible", "users_not_found"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Somebody who is to be mentioned: the name of their thing, and their Slack user id."""

    thing: str
    slack: str

    @property
    def id(self) -> str:
        """As the command line knows them."""
        return self.thing.removeprefix("staff-")


class Asker:
    """Asks Slack's Web API. When Slack asks to wait, that is done, for so many seconds altogether."""

    def __init__(
        self,
        client: WebClient,
        *,
        patience_s: float = PATIENCE_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client, self._left_s, self._sleep = client, patience_s, sleep

    def ask(self, method: str, **arguments: Any) -> Mapping[str, Any]:
        """What Slack answers; its headers are below ``headers``, names in lower case.

        Raises:
            NotTold: Slack refused, asks to wait for too long, or is not reached within 3 s.
        """
        while True:
            try:
                answer = bounded(lambda: self._client.api_call(method, params=arguments))
            except NotTold as no:
                wait_s = None if no.retry_after_s is None else max(no.retry_after_s, LEAST_WAIT_S)
                if wait_s is None or wait_s > self._left_s:
                    raise
                self._left_s -= wait_s
                self._sleep(wait_s)
            else:
                headers = {name.lower(): str(value) for name, value in answer.headers.items()}
                return {**(answer.data if isinstance(answer.data, dict) else {}), "headers": headers}


def of_clock(asker: Asker, wall: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Whether this machine and Slack agree about the time; ``wall``: seconds since 1970."""
    before = wall()
    try:
        stamp = asker.ask("api.test")["headers"].get("date", "")
        slack = parsedate_to_datetime(stamp).timestamp()
    except (NotTold, ValueError):
        yield unknown("clock", "Slack did not say what time it is", _NETWORK)
        return
    # Its stamp has whole seconds, and was made somewhere between the question and the answer.
    off = before - slack - 1 if before > slack + 1 else min(0.0, wall() - slack)
    if abs(off) <= CLOCK_S:
        yield right("clock", "This machine and Slack agree about the time")
        return
    yield wrong(
        Trouble(
            what="clock",
            detail=f"This machine's clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} Slack's",
            fix="Have it set by the network (NTP): from 300 s on, what Slack and SORACOM sign is refused.",
        )
    )


def of_bot(
    asker: Asker, channel: str, members: Iterable[Member], *, events: bool, hours: bool = False
) -> Iterator[Finding]:
    """Whether the bot can mention everybody, and hear what they answer.

    Args:
        asker: with the bot's token.
        channel: its id; "" if none is set.
        members: who is to be mentioned.
        events: whether answers come as events, by Socket Mode or over HTTP.
        hours: whether it is asked for the hours in which somebody is not to be disturbed.
    """
    try:
        answer = asker.ask("auth.test")
    except NotTold as no:
        yield _refused("Slack does not take SLACK_BOT_TOKEN", no)
        return
    if not answer.get("bot_id"):
        detail = "SLACK_BOT_TOKEN is the token of a person, not of a bot"
        yield _wrong(detail, refusal_of(200, "not_allowed_token_type").fix)
    else:
        yield right(SLACK, f"SLACK_BOT_TOKEN is the token of {answer.get('user') or 'a bot'}")
    info = (yield from _channel(asker, channel)) if channel else None
    yield from _scopes(answer["headers"].get("x-oauth-scopes"), info, events=events, hours=hours)
    known = yield from _people(asker, members)
    if info and info.get("is_member"):
        yield from _members(asker, channel, known)


def try_channel(asker: Asker, channel: str) -> None:
    """Ask whether the bot may post where it is to, and post nothing; with "" for the channel, whether Slack knows the bot.

    Raises:
        NotTold: it may not, or Slack does not say.
    """
    info: Mapping[str, Any] = {}
    try:
        if channel:
            info = asker.ask("conversations.info", channel=channel).get("channel") or {}
    except NotTold as no:
        if no.word != "missing_scope":  # then only a message would show it
            raise
    if not info:
        asker.ask("auth.test")
    word = "is_archived" if info.get("is_archived") else "not_in_channel" * (info.get("is_member") is False)
    if word:
        raise NotTold(f"Slack says {word}", fix=refusal_of(200, word).fix, word=word)


def _channel(asker: Asker, channel: str) -> Generator[Finding, None, Mapping[str, Any] | None]:
    """Look at the channel; what Slack says about it is returned."""
    try:
        info = asker.ask("conversations.info", channel=channel).get("channel") or {}
    except NotTold as no:
        if no.word == "missing_scope":
            yield _hidden("Whether the channel is there and the bot is in it", "channels:read", "groups:read")
        else:
            yield _refused("The channel of SLACK_CHANNEL is not there for the bot", no)
        return None
    if info.get("is_archived"):
        yield _wrong("The channel of SLACK_CHANNEL is archived", refusal_of(200, "is_archived").fix)
    elif not info.get("is_member"):
        yield _wrong("The bot is not in the channel of SLACK_CHANNEL", refusal_of(200, "not_in_channel").fix)
    else:
        yield right(SLACK, "The channel is there, and the bot is in it")
    return info


def _scopes(
    header: str | None, info: Mapping[str, Any] | None, *, events: bool, hours: bool
) -> Iterator[Finding]:
    if header is None:
        yield unknown(SLACK, "Slack did not say which scopes the bot has", _NETWORK)
        return
    granted = {each.strip() for each in header.split(",")}
    kinds = list(HISTORY.values()) if info is None else [HISTORY[bool(info.get("is_private"))]]
    # Without that of reactions a thumb says nothing, and who gave it believes that they answered.
    wanted = [
        [POSTING],
        *([[MENTIONED], kinds, [REACTED], [COMMANDED]] if events else []),
        *([[HOURS]] if hours else []),
    ]
    for any_of in wanted:
        if there := [scope for scope in any_of if scope in granted]:
            yield right(SLACK, f"The bot has the scope {there[0]}")
        else:
            scope = " or ".join(any_of)
            yield _wrong(f"The bot has no scope {scope}", _add(scope))


def _people(asker: Asker, members: Iterable[Member]) -> Generator[Finding, None, list[Member]]:
    """Look everybody up; those whom Slack knows are returned, and who could not be looked up."""
    members = list(members)
    known: list[Member] = []
    for count, member in enumerate(members):
        try:
            user = asker.ask("users.info", user=member.slack).get("user") or {}
        except NotTold as no:
            if no.word in _UNSEEN:
                yield _wrong(f"Slack does not know the Slack id of {member.id}", _PERSON, member.thing)
                continue
            left = f"Whether Slack knows {len(members) - count} of {len(members)} people"
            yield _hidden(left, "users:read") if no.word == "missing_scope" else _unasked(left, no)
            return known + members[count:]
        if flaw := _flaw(user, member.id):
            yield _wrong(flaw, _PERSON, member.thing)
        else:
            known.append(member)
            yield right(SLACK, f"Slack knows {member.id}", member.thing)
    return known


def _flaw(user: Mapping[str, Any], whose: str) -> str:
    """Why a mention of somebody whom Slack knows reaches nobody; "" if it does not."""
    if user.get("deleted"):
        return f"The Slack account of {whose} is deactivated"
    return f"The Slack id of {whose} is a bot's" if user.get("is_bot") else ""


def id_of(asker: Asker, email: str) -> str:
    """The Slack user id of who has this address in their Slack profile; ``asker`` has the bot's token.

    Raises:
        Rejected: 400 for what is no address; 404 if it is nobody's, or not a person's who can be mentioned; 403 if the bot
            may not ask; 503 if Slack does not answer.

    Source: docs.slack.dev, users.lookupByEmail.
    """
    if not _ADDRESS.fullmatch(email):
        raise Rejected(400, f"email: expected an address such as hana@example.com, got {email[:80]!r}")
    try:
        user = asker.ask("users.lookupByEmail", email=email).get("user") or {}
    except NotTold as no:
        raise _unfound(email, no) from None
    if flaw := _flaw(user, email):
        raise Rejected(404, f"email: {flaw}")
    return str(user.get("id", ""))


def _unfound(email: str, no: NotTold) -> Rejected:
    if no.word in _UNSEEN:
        profile = "give the id from their profile (Copy member ID) with --slack"
        return Rejected(404, f"email: nobody in the Slack workspace has {email}: check it, or {profile}")
    if no.word == "missing_scope":
        return Rejected(403, f"email: the bot may not look addresses up. {_add(BY_EMAIL)}")
    if no.fix:
        return Rejected(403, f"email: Slack refuses to look it up: {no.word or no.reason}. {no.fix}")
    return Rejected(503, f"email: it could not be looked up: {no.reason}. {_NETWORK}")


def _members(asker: Asker, channel: str, people: Iterable[Member]) -> Iterator[Finding]:
    there: set[str] = set()
    cursor = ""
    while True:
        try:
            page = asker.ask("conversations.members", channel=channel, limit=PAGE, cursor=cursor)
        except NotTold as no:
            what = "Who is in the channel"
            scopes = ("channels:read", "groups:read")
            yield _hidden(what, *scopes) if no.word == "missing_scope" else _unasked(what, no)
            return
        there.update(page.get("members") or ())
        cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
        if not cursor:
            break
    for member in people:
        if member.slack in there:
            yield right(SLACK, f"{member.id} is in the channel", member.thing)
        else:
            fix = "Invite them: write /invite and their name in the channel."
            yield _wrong(
                f"{member.id} is not in the channel: a mention does not reach them", fix, member.thing
            )


def of_socket(asker: Asker) -> Iterator[Finding]:
    """Whether Slack lets us open Socket Mode; ``asker`` has the app-level token. No connection is opened."""
    try:
        asker.ask("apps.connections.open")
    except NotTold as no:
        yield _refused(
            "Slack opens no Socket Mode with SLACK_APP_TOKEN", no, fix=SOCKET_MODE if no.fix else ""
        )
    else:
        yield right(SLACK, "Slack opens Socket Mode with SLACK_APP_TOKEN")


def of_post(post: Callable[[str], object]) -> Iterator[Finding]:
    """Post one harmless line, and see what Slack says."""
    try:
        post(TEST_WORDS)
    except NotTold as no:
        yield _refused("Slack did not take the test message", no)
    else:
        yield right(SLACK, "Slack took the test message")


def _refused(what: str, no: NotTold, *, fix: str = "") -> Finding:
    return _wrong(f"{what}: {no.word or no.reason}", fix or no.fix or _NETWORK)


def _wrong(detail: str, fix: str, thing: str = "") -> Finding:
    return wrong(Trouble(what=SLACK, detail=detail, fix=fix, thing=thing))


def _hidden(what: str, *scopes: str) -> Finding:
    return unknown(SLACK, f"{what} was not looked at: a scope is missing", _add(" or ".join(scopes)))


def _unasked(what: str, no: NotTold) -> Finding:
    return unknown(SLACK, f"{what} was not looked at: {no.reason}", "Try again in a few minutes.")


def _add(scope: str) -> str:
    return f"Add the bot scope {scope} under OAuth & Permissions, and install the app in the workspace again."
