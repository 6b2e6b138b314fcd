"""The shadow service: requests in, answers out, over the store. It behaves as AWS IoT Core's does."""

import json
import logging
import re
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache, partial
from typing import Final

from infra.local.rows import SCHEMA, Key, Row, Rows
from infra.local.store import Store, savepoint, settle, singly
from shadows import document as shadow_document
from shadows.document import Document
from shadows.errors import Rejected
from shadows.shadow import JsonObject, Shadow

Message = tuple[str, bytes]  # topic, payload
OnChange = Callable[[sqlite3.Connection, str, JsonObject | None, JsonObject], None]

THING_NAME: Final = re.compile(r"[a-zA-Z0-9:_-]{1,128}")
SHADOW_NAME: Final = re.compile(r"[$a-zA-Z0-9:_-]{1,64}")
ANY_NAME: Final = re.compile(r"[^/+#\0]{1,200}")  # what a level of a topic may be
TOPIC: Final = re.compile(r"\$aws/things/([^/]+)/shadow(?:/name/([^/]+))?/(get|update|delete)")

REQUESTS_A_SECOND: Final = 20  # for one thing, as AWS
IN_FLIGHT: Final = 10  # requests for one thing on one connection that are not answered yet, as AWS
MAX_KNOWN: Final = 128  # documents that are kept parsed
TOMBSTONE_MS: Final = 48 * 3600 * 1000  # so long a deleted shadow's version goes on

# What is left of a limit that is off, so that memory and stack stay bounded.
_OFF: Final[Mapping[str, Mapping[str, int]]] = {
    "document-size": {"state_bytes": 64 * 1024},
    "document-depth": {"depth": 64},
    "client-token": {"token_bytes": 512 * 1024},
    "payload": {"request_bytes": 512 * 1024},
}

# Of whom a booth lists. SQLite cuts the state out of a document in a fraction of the time that parsing it takes here.
LISTED: Final = """
    SELECT found.thing, found.version, json_extract(found.document, '$.state')
    FROM shadows AS booth, json_each(booth.document, '$.state.reported.staff') AS listed
    JOIN shadows AS found ON found.thing = listed.value AND found.name = ''
    WHERE booth.thing = ? AND booth.name = '' AND json_valid(found.document)
    LIMIT 200
"""

log = logging.getLogger(__name__)


class Operation(StrEnum):
    GET = "get"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class ShadowName:
    """Whose shadow: the thing, and the shadow's name, "" for the classic one.

    Attributes:
        strict: whether both names are to be such as AWS allows.

    Raises:
        Rejected: 400, for a name that is not allowed.
    """

    thing: str
    name: str = ""
    strict: bool = field(default=True, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.strict and all(map(ANY_NAME.fullmatch, (self.thing, self.name or "-"))):
            return
        if not THING_NAME.fullmatch(self.thing):
            raise Rejected(
                400, f"thingName: expected [a-zA-Z0-9:_-]+, 1 to 128 of them, got {self.thing[:200]!r}"
            )
        if self.name and not SHADOW_NAME.fullmatch(self.name):
            raise Rejected(
                400, f"shadowName: expected [$a-zA-Z0-9:_-]+, 1 to 64 of them, got {self.name[:200]!r}"
            )

    @property
    def topic(self) -> str:
        """The prefix of its topics, without a slash at the end."""
        return f"$aws/things/{self.thing}/shadow" + (f"/name/{self.name}" if self.name else "")

    @property
    def key(self) -> Key:
        """Of its row."""
        return self.thing, self.name

    @property
    def missing(self) -> Rejected:
        """Real answers name a named shadow as ``thing~shadow``, whatever the guide says."""
        return Rejected(404, f"No shadow exists with name: '{self.thing}{self.name and '~' + self.name}'")


# What one request led to: the last parts of the topics, after the operation, and the payloads; "accepted" first.
Answers = list[tuple[str, bytes]]
Outcome = Callable[[], Answers]  # gives them, or raises why there are none


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request."""

    shadow: ShadowName
    operation: Operation
    payload: bytes
    throttle: bool


class ShadowService:
    """Classic and named shadows of every thing, in one store.

    Messages go out after the commit and in order of version, each request's before its future resolves.

    Args:
        store: where the shadows are kept.
        clock: milliseconds since 1970.
        announce: takes the messages of one request. It is called on the writer's thread, so it must not wait for
            anything that the store does.
        throttle: refuse more than AWS's 20 requests a second for one thing, but for those of our own process, and more
            than 10 that one connection has in flight for it.
        off: names of AWS's limits that are switched off.
        on_change: called inside the transaction of each update of a classic shadow, with the thing and the state
            (``{"desired"?, "reported"?}``) before, None if there was no shadow, and after. If it fails, what it wrote is undone,
            and the update stands.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], int],
        announce: Callable[[Sequence[Message]], None],
        throttle: bool = True,
        off: Collection[str] = (),
        on_change: OnChange | None = None,
    ) -> None:
        self._store = store
        self.clock = clock
        self._announce = announce
        self._throttle = throttle and "requests" not in off
        self._few_in_flight = throttle and "in-flight" not in off
        self.strict_names = "names" not in off
        left = {name: most for each in off for name, most in _OFF.get(each, {}).items()}
        self.bounds = replace(shadow_document.AWS, **left)
        self._on_change = on_change
        self._second = 0
        self._asked: Counter[str] = Counter()
        self._flying: Counter[tuple[str, str]] = Counter()
        self._flight = threading.Lock()
        # What was written last, parsed. It is taken for what a row has only if that has the same text: so nothing here can
        # be wrong, also after a rollback.
        self._known: dict[ShadowName, Document] = {}
        for statement in SCHEMA:
            store.run(lambda db, statement=statement: db.execute(statement))  # type: ignore[misc]

    # --- The three doors

    def handle(self, topic: str, payload: bytes, *, sender: str = "") -> "Future[list[Message]]":
        """Take a request that was published, and announce its answers, refusals too.

        ``sender`` is the connection that it came by, "" if no other request comes by that. The future has the messages
        that were announced, and does not fail.

        Raises:
            Rejected: 400, for a topic that no request is published to.
        """
        done: Future[list[Message]] = Future()
        self.take(topic, payload, sender, done.set_result)
        return done

    def take(self, topic: str, payload: bytes, sender: str, then: Callable[[list[Message]], object]) -> None:
        """The same, for whoever needs no future: ``then`` is called with the messages, most often on the writer's thread."""
        shadow, operation = request_of(topic, strict=self.strict_names)
        flight = (sender, shadow.thing) if self._few_in_flight and sender else None
        if flight and not self._took_off(flight):
            then(self._reply(shadow, operation, payload, _too_many_in_flight))
            return

        def tell(answers: Outcome) -> None:
            if flight:
                self._landed(flight)  # before anybody hears: who is answered may ask again
            then(self._reply(shadow, operation, payload, answers))

        self._store.tell(self._answers, _Asked(shadow, operation, payload, self._throttle), tell)

    def _reply(
        self, shadow: ShadowName, operation: Operation, payload: bytes, answers: Outcome
    ) -> list[Message]:
        """Announce the answers to a request, or why there are none."""
        try:
            return self._say(shadow, operation, answers())
        except Rejected as no:
            refused = no
        except Exception:
            log.exception("a bug in the answer to %s of %s", operation, shadow.topic)
            refused = Rejected(500, "Internal service failure")
        answer = shadow_document.rejected(refused, self._token(payload))
        return self._say(shadow, operation, [("rejected", answer)])

    def ask(
        self, shadow: ShadowName, operation: Operation, payload: bytes = b"", *, own: bool = False
    ) -> bytes:
        """Take a request that came another way than MQTT, and wait for its answer, the payload of ``accepted``.

        An accepted update or deletion is announced as if it had been published; a get and a refusal are not.
        A request of our ``own`` process is not throttled.

        Raises:
            Rejected: what the service refuses; 500, if the disk does.
        """
        done: Future[bytes] = Future()

        def say(answers: Outcome) -> bytes:
            accepted = answers()
            if operation is not Operation.GET:
                self._say(shadow, operation, accepted)
            return accepted[0][1]

        self._store.refuse_to_wait_here()
        self._store.tell(
            self._answers,
            _Asked(shadow, operation, payload, self._throttle and not own),
            lambda answers: settle(done, partial(say, answers)),
            here=True,
        )
        return done.result()

    def named(self, thing: str, *, after: str = "", most: int = 25) -> list[str]:
        """The names of a thing's named shadows, in order, from the one behind ``after``."""
        found = self._store.run(
            lambda db: db.execute(
                "SELECT name FROM shadows WHERE thing = ? AND name > ? AND deleted_at IS NULL ORDER BY name LIMIT ?",
                (ShadowName(thing, strict=self.strict_names).thing, after, most),
            ).fetchall()
        )
        return [name for (name,) in found]

    def hand_out(self, booth: str, then: Callable[[list[Message]], object]) -> None:
        """Have ``then`` called with what those would be answered who ask for each shadow that a booth lists, all at one
        moment, on the thread that wrote. Metadata is left out: it is more than half, and no screen looks at a person's.

        Who is not there, or cannot be read, is left out, too: whoever asks for them alone hears why.
        """

        def work(db: sqlite3.Connection) -> list[Message]:
            now_s = self.clock() // 1000
            return [
                (ShadowName(thing).topic + "/get/accepted", shadow_document.get_shown(state, version, now_s))
                for thing, version, state in db.execute(LISTED, (booth,))
            ]

        def tell(answers: Callable[[], list[Message]]) -> None:
            with suppress(Rejected):
                then(answers())

        self._store.tell(singly, work, tell)

    def shadows_of(self, things: Sequence[str]) -> dict[str, Shadow]:
        """The classic shadows of these things, at one moment; without those that are not there, or cannot be read."""
        try:
            rows = self._store.run(
                lambda db: db.execute(
                    "SELECT thing, version, document FROM shadows "
                    "WHERE name = '' AND document IS NOT NULL AND thing IN (SELECT value FROM json_each(?))",
                    (json.dumps(things),),
                ).fetchall()
            )
        except Rejected:  # what is wrong with one of them is for whoever asks for it alone
            return {}
        found = {}
        for thing, version, text in rows:
            with suppress(ValueError, TypeError):
                state = Document.read(text).state
                found[thing] = Shadow(
                    desired=state.get("desired", {}), reported=state.get("reported", {}), version=version
                )
        return found

    def _took_off(self, flight: tuple[str, str]) -> bool:
        """Count one more request of a connection for a thing, unless there are too many."""
        with self._flight:
            if self._flying[flight] >= IN_FLIGHT:
                return False
            self._flying[flight] += 1
            return True

    def _landed(self, flight: tuple[str, str]) -> None:
        with self._flight:
            self._flying[flight] -= 1
            if not self._flying[flight]:
                del self._flying[flight]

    def _say(self, shadow: ShadowName, operation: Operation, answers: Answers) -> list[Message]:
        messages = [(f"{shadow.topic}/{operation}/{kind}", payload) for kind, payload in answers]
        try:
            self._announce(messages)
        except Exception:  # a failing subscriber never undoes an accepted update
            log.exception("nobody heard of an answer on %s", shadow.topic)
        return messages

    # --- Inside the transaction, on the writer's thread

    def _answers(self, db: sqlite3.Connection, asked: Sequence[_Asked]) -> list[Answers | Exception]:
        """What each request comes to, all of it written."""
        rows = Rows(db, [*{each.shadow.key for each in asked}])
        answers = [self._attempt(db, rows, each) for each in asked]
        rows.write()
        return answers

    def _attempt(self, db: sqlite3.Connection, rows: Rows, asked: _Asked) -> Answers | Exception:
        try:
            return self._answer(db, rows, asked)
        except sqlite3.Error:
            raise  # whether only this request is to blame, it shows alone
        except Exception as no:
            return no

    def _answer(self, db: sqlite3.Connection, rows: Rows, asked: _Asked) -> Answers:
        now = self.clock()
        if asked.throttle:
            self._count(asked.shadow.thing, now)
        match asked.operation:
            case Operation.GET:
                return self._get(rows, asked.shadow, asked.payload, now)
            case Operation.UPDATE:
                return self._update(db, rows, asked.shadow, asked.payload, now)
            case Operation.DELETE:
                return self._delete(db, rows, asked.shadow, asked.payload, now)

    def _count(self, thing: str, now: int) -> None:
        if self._second != now // 1000:
            self._second = now // 1000
            self._asked.clear()
        self._asked[thing] += 1
        if self._asked[thing] > REQUESTS_A_SECOND:
            raise Rejected(429, f"Too many requests: {thing} takes {REQUESTS_A_SECOND} a second")

    def _get(self, rows: Rows, shadow: ShadowName, payload: bytes, now: int) -> Answers:
        token = shadow_document.parse_get(payload, self.bounds)
        current, _ = self._load(rows, shadow, now)
        if current is None:
            raise shadow.missing
        return [("accepted", shadow_document.get_accepted(current, now // 1000, token))]

    def _update(
        self, db: sqlite3.Connection, rows: Rows, shadow: ShadowName, payload: bytes, now: int
    ) -> Answers:
        request, now_s = shadow_document.parse_request(payload, self.bounds), now // 1000
        previous, version = self._load(rows, shadow, now)
        current = shadow_document.apply(previous, request, now_s, version=version, bounds=self.bounds)
        answers = [("accepted", shadow_document.update_accepted(request, current.version, now_s))]
        if left := shadow_document.update_delta(current, now_s, request.token):
            answers.append(("delta", left))
        said = shadow_document.update_documents(previous, current, now_s, request.token)
        self._remember(shadow, current)
        rows.put(shadow.key, Row(current.version, current.text))
        if self._on_change and not shadow.name:
            self._tell(self._on_change, db, shadow.thing, previous, current)
        return [*answers, ("documents", said)]

    def _delete(
        self, db: sqlite3.Connection, rows: Rows, shadow: ShadowName, payload: bytes, now: int
    ) -> Answers:
        current, version = self._load(rows, shadow, now)
        if current is None:
            raise shadow.missing
        db.execute("DELETE FROM shadows WHERE deleted_at <= ?", (now - TOMBSTONE_MS,))
        # The answer names the version that was deleted, and yet the deletion counts as one.
        rows.put(shadow.key, Row(version + 1, None, now))
        answer = shadow_document.delete_accepted(current.version, now // 1000, self._token(payload))
        return [("accepted", answer)]

    def _token(self, payload: bytes) -> str | None:
        return shadow_document.token_of(payload, self.bounds)

    @staticmethod
    def _tell(
        on_change: OnChange, db: sqlite3.Connection, thing: str, previous: Document | None, current: Document
    ) -> None:
        try:
            with savepoint(db):
                on_change(db, thing, previous.state if previous else None, current.state)
        except Exception:
            if not db.in_transaction:
                raise  # all is undone already, and what were written now would stand alone
            log.exception("a change of %s was not taken down", thing)

    def _load(self, rows: Rows, shadow: ShadowName, now: int) -> tuple[Document | None, int]:
        """The document, if there is one, and the version that the next one counts on from."""
        row = rows.get(shadow.key)
        if row is None:
            return None, 0
        if row.deleted_at is not None:
            return None, row.version if now - row.deleted_at < TOMBSTONE_MS else 0
        try:
            return self._parsed(shadow, row.text or ""), row.version
        except (ValueError, TypeError) as error:  # SQLite sees only that its pages are whole
            raise sqlite3.DatabaseError(f"the document of {shadow.thing} is damaged") from error

    def _parsed(self, shadow: ShadowName, text: str) -> Document:
        known = self._known.get(shadow)
        return known if known and known.text == text else Document.read(text)

    def _remember(self, shadow: ShadowName, document: Document) -> None:
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[shadow] = document


def _too_many_in_flight() -> Answers:
    raise Rejected(429, f"Too many requests: a connection has at most {IN_FLIGHT} in flight for a thing")


@lru_cache(4096)  # whoever asks asks again
def request_of(topic: str, *, strict: bool = True) -> tuple[ShadowName, Operation]:
    """What is asked for by a publish to this topic, and of which shadow.

    Raises:
        Rejected: 400, for a topic that no request is published to.
    """
    if not (found := TOPIC.fullmatch(topic)):
        raise Rejected(
            400, f"topic: expected $aws/things/<thing>/shadow/get, update or delete, got {topic[:300]!r}"
        )
    thing, name, operation = found.groups()
    return ShadowName(thing, name or "", strict), Operation(operation)


class LocalShadows:
    """Classic shadows in this process: :class:`shadows.shadow.Shadows` on the service. Our own requests are not throttled."""

    def __init__(self, service: ShadowService) -> None:
        self._service = service

    def get(self, thing: str) -> Shadow:
        """As :meth:`shadows.shadow.Shadows.get`."""
        return shadow_document.shadow_of(self._service.ask(ShadowName(thing), Operation.GET, own=True))

    def get_many(self, things: Sequence[str]) -> dict[str, Shadow]:
        """Those that can be read of these things' shadows, at one moment: many cost little more than one."""
        return self._service.shadows_of(things)

    def update(
        self,
        thing: str,
        *,
        desired: JsonObject | None = None,
        reported: JsonObject | None = None,
        version: int | None = None,
    ) -> int:
        """As :meth:`shadows.shadow.Shadows.update`."""
        payload = shadow_document.update_payload(desired=desired, reported=reported, version=version)
        return shadow_document.version_of(
            self._service.ask(ShadowName(thing), Operation.UPDATE, payload, own=True)
        )

    def delete(self, thing: str) -> None:
        """As :meth:`shadows.shadow.Shadows.delete`."""
        self._service.ask(ShadowName(thing), Operation.DELETE, own=True)
