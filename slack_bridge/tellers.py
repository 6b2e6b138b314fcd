"""Sending to Slack: mentions by an incoming webhook or by a bot, answers by the bot. Each call ends within 3 s."""

import logging
import math
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from http.client import HTTPException
from threading import Event, Lock, Thread
from typing import Final, TypeVar

from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import WebClient
from slack_sdk.webhook import WebhookClient

from shadows.cards import Card, Shown, Standing
from shadows.telling import ANNOUNCED, Mention, NotTold, Receipt
from slack_bridge.card import Blocks, announced, look
from slack_bridge.mention import EVERYBODY, expired_words, words
from slack_bridge.refusals import refusal_of

log = logging.getLogger(__name__)
T = TypeVar("T")

TIMEOUT_S: Final = 3
LONGEST_WAIT_S: Final = 3600.0
LONGEST_ANSWER_S: Final = 30.0  # an answer that comes later than this is no courtesy any more
PACE_S: Final = 1.0
API_URL: Final = "https://slack.com/api/"
# What Slack says of how a message looks, or where it stands, and not of its words.
UNADORNED: Final = frozenset(
    {
        "cannot_reply_to_message",
        "invalid_arguments",
        "invalid_blocks",
        "invalid_blocks_format",
        "msg_blocks_too_long",
        "restricted_action_non_threadable_channel",
        "thread_not_found",
    }
)
UNCHANGEABLE: Final = frozenset({"block_mismatch", "cant_update_message", "edit_window_closed"})
# slack_sdk writes the webhook's URL, which is a secret, into its log.
SILENT: Final = logging.getLogger("slack_bridge.silent")
SILENT.setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """Words to be said in a channel, or in a thread of it; with blocks, those are seen instead."""

    channel: str
    text: str
    thread: str = ""
    blocks: Blocks = ()


class WebhookTeller:
    """Tells by an incoming webhook: one channel, no threads, and no ts to find a message again."""

    def __init__(self, url: str, lang: str) -> None:
        self._client = WebhookClient(url, timeout=TIMEOUT_S, retry_handlers=[], logger=SILENT)
        self._lang = lang

    def tell(self, mention: Mention) -> None:
        """Send one mention.

        Raises:
            NotTold: Slack did not take it, or nobody knows.
        """
        self.post(words(mention, self._lang))

    def tell_expired(self, count: int) -> None:
        """Send one line for all the calls that expired while nothing ran.

        Raises:
            NotTold: as above.
        """
        self.post(expired_words(count, self._lang))

    def post(self, text: str) -> None:
        """Post these words.

        Raises:
            NotTold: as above.
        """
        response = bounded(lambda: self._client.send_dict({"text": text}))
        body = response.body.strip()
        if response.status_code != 200 or body != "ok":  # the login page of some Wi-Fi is a 200, too
            raise _refused(response.status_code, body, response.headers)


class Pace:
    """When the next message may go to a channel: Slack takes about one a second, and says if it wants more time."""

    def __init__(self) -> None:
        self._turn = Lock()
        self._next_at = 0.0
        self._stopped = Event()

    def wait(self, longest_s: float) -> bool:
        """Wait for one's turn, and take it; False if it is further away than ``longest_s``."""
        until = time.monotonic() + longest_s
        while True:
            with self._turn:
                now = time.monotonic()
                if now >= self._next_at:
                    self._next_at = now + PACE_S
                    return True
                pause = self._next_at - now
            # Asleep without the lock: who can wait less long learns so at once.
            if now + pause > until or self._stopped.wait(pause):
                return False

    def stop(self) -> None:
        """Nobody waits any more."""
        self._stopped.set()

    def hold(self, seconds: float) -> None:
        """Nothing may go for so long."""
        self._next_at = max(self._next_at, time.monotonic() + seconds)

    @property
    def left_s(self) -> float:
        """How long until the next turn, in seconds."""
        return max(0.0, self._next_at - time.monotonic())


class BotTeller:
    """Tells by ``chat.postMessage``: a call by a card with buttons, which ``chat.update`` keeps to how the call stands, and
    what follows in the card's thread, so that it notifies whom it mentions and the channel stays short.
    """

    def __init__(self, token: str, channel: str, base_url: str, lang: str) -> None:
        self._client = web_client(base_url, token)
        self._channel = channel
        self._lang = lang
        self._pace = Pace()
        self._changes = Pace()

    def tell(self, mention: Mention) -> Receipt:
        """Send one mention; the answer says where it is.

        Raises:
            NotTold: Slack did not take it, or nobody knows.
        """
        post = self._post_of(mention)
        try:
            return self._send(post)
        except NotTold as no:
            if no.word not in UNADORNED or not (post.thread or post.blocks):
                raise
        return self._send(replace(post, thread="", blocks=()))  # the words must be read, however they look

    def _post_of(self, mention: Mention) -> Post:
        text = words(mention, self._lang)
        if mention.kind in ANNOUNCED and not mention.thread:
            return Post(channel=self._channel, text=text, blocks=look(announced(mention), self._lang)[1])
        # What is for everybody would notify nobody in a thread.
        return Post(
            channel=self._channel, text=text, thread="" if text.startswith(EVERYBODY) else mention.thread
        )

    def show(self, card: Card, standing: Standing) -> Shown:
        """Have a card say how its call stands; not now, if a message was sent just before: mentions go first.

        Raises:
            NotTold: it does not now, or nobody knows.
        """
        text, blocks = look(standing, self._lang)
        if (left_s := self._pace.left_s) or not self._changes.wait(0):
            raise NotTold("It is not its turn", retry_after_s=max(left_s, self._changes.left_s))
        try:
            bounded(
                lambda: self._client.chat_update(
                    channel=card.channel, ts=card.ts, text=text, blocks=list(blocks)
                )
            )
        except NotTold as no:
            self._changes.hold(no.retry_after_s or 0.0)
            return _never(no)
        return Shown.NOW

    def tell_expired(self, count: int) -> None:
        """Send one line for all the calls that expired while nothing ran.

        Raises:
            NotTold: as above.
        """
        self.post(expired_words(count, self._lang))

    def post(self, text: str) -> None:
        """Post these words in the channel.

        Raises:
            NotTold: as above.
        """
        self._send(Post(channel=self._channel, text=text))

    def stop(self) -> None:
        """Give up what waits for its turn."""
        self._pace.stop()

    def say(self, post: Post, patience_s: float = LONGEST_ANSWER_S) -> None:
        """Say an answer, when it is its turn; once more if Slack asked to wait, and no longer than ``patience_s``.

        That it was said is a courtesy: if it was not, a line in the log is all that follows.
        """
        try:
            try:
                self._send(post, patience_s)
            except NotTold as no:
                if no.retry_after_s is None:
                    raise
                self._send(post, patience_s)
        except NotTold as no:
            log.warning("An answer could not be posted: %s", no.reason)

    def _send(self, post: Post, longest_s: float = 2 * PACE_S) -> Receipt:
        if not self._pace.wait(longest_s):
            raise NotTold("Slack asked us to wait", retry_after_s=self._pace.left_s)
        try:
            response = bounded(
                lambda: self._client.chat_postMessage(
                    channel=post.channel,
                    text=post.text,
                    thread_ts=post.thread or None,
                    blocks=list(post.blocks) or None,
                    unfurl_links=False,
                )
            )
        except NotTold as no:
            self._pace.hold(no.retry_after_s or 0.0)
            raise
        return Receipt(channel=str(response.get("channel") or post.channel), ts=str(response.get("ts") or ""))


def _never(no: NotTold) -> Shown:
    """What became of a card that Slack will never change; what may pass by itself is raised again."""
    if no.word == "message_not_found":
        return Shown.GONE
    if no.word in UNCHANGEABLE or (no.fix and not no.channel):
        return Shown.STUCK
    raise no


def web_client(base_url: str, token: str | None = None) -> WebClient:
    """A client of Slack's Web API (``SLACK_API_URL``, ends in ``/api/``) that tries once and logs nothing."""
    return WebClient(
        token=token, base_url=base_url or API_URL, timeout=TIMEOUT_S, retry_handlers=[], logger=SILENT
    )


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """How long Slack asks us to wait, at most an hour; None if it does not say, or says nonsense."""
    named = {name.lower(): value for name, value in headers.items()}
    try:
        seconds = float(named.get("retry-after", ""))
    except ValueError:
        return None
    return min(seconds, LONGEST_WAIT_S) if math.isfinite(seconds) and seconds >= 0 else None


def bounded(send: Callable[[], T]) -> T:
    """Send, and wait 3 s at most.

    urllib's own time-out is for each read, and not for looking up a name: who sends a byte a second holds it for ever.
    What fails is named by its kind alone, for its text may hold the URL.

    Raises:
        NotTold: Slack refused it, or nobody knows.
    """
    sent: Future[T] = Future()
    Thread(target=_settle, args=(sent, send), name="slack-send", daemon=True).start()
    try:
        return sent.result(timeout=TIMEOUT_S)
    except SlackApiError as no:
        response = no.response
        raise _refused(response.status_code, str(response.get("error")), response.headers) from None
    except TimeoutError:
        raise NotTold(f"no answer within {TIMEOUT_S} s") from None
    # What urllib and slack_sdk raise over a network, and over an answer that is not Slack's.
    except (OSError, HTTPException, SlackClientError, ValueError, LookupError, AttributeError) as error:
        cause = getattr(error, "reason", None)
        kind = type(cause if isinstance(cause, Exception) else error).__name__
        raise NotTold(f"Slack is not reached: {kind}") from None


def _settle(sent: Future[T], send: Callable[[], T]) -> None:
    try:
        sent.set_result(send())
    except Exception as error:  # it is raised again where the result is awaited
        sent.set_exception(error)


def _refused(status: int, body: str, headers: Mapping[str, str]) -> NotTold:
    """Why Slack took nothing; a body that is not one of Slack's words is not repeated."""
    word = body if re.fullmatch(r"[a-z][a-z0-9_]{0,63}", body) else ""
    refusal = refusal_of(status, word)
    return NotTold(
        f"Slack answered {status} {word}".strip(),
        retry_after_s=None if refusal.fix else retry_after_s(headers),
        channel=refusal.channel,
        fix=refusal.fix,
        word=word,
    )
