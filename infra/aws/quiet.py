"""Who wants not to be disturbed, on AWS: a function of its own asks Slack once a minute, and whoever calls somebody reads what it heard.

It is one item of a table. A press waits for it two seconds at most, and for Slack never; what is not known is not quiet.
"""

import json
import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Final

from botocore.config import Config

from shadows.calls import Place
from slack_bridge.check import Asker
from slack_bridge.quiet import OLD_S, Span, people_of, wishes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = logging.getLogger(__name__)

# For who reads it: somebody waits.
BRIEF: Final = Config(retries={"total_max_attempts": 1}, connect_timeout=1, read_timeout=1)
ROUND_S: Final = 40.0  # of the function's minute: the last question may take 3 s more
READ_FOR_S: Final = 30.0
AGAIN_S: Final = 60.0  # a table that does not answer keeps nobody else waiting for so long
KEY: Final = "known"

Known = Mapping[str, tuple[Span, ...]]


class Heard:
    """What Slack said of whom, and who is asked next: one item, for as long as the newest of it says anything."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client, self._table = client, table

    def read(self) -> tuple[Known, str]:
        """When people want not to be disturbed, s since 1970, by their things; and with whom the next round begins."""
        found = self._client.get_item(TableName=self._table, Key={"what": {"S": KEY}}).get("Item")
        if not found:
            return {}, ""
        known = json.loads(found["people"]["S"])
        return {thing: tuple((start, end) for start, end in spans) for thing, spans in known.items()}, found[
            "next"
        ]["S"]

    def write(self, known: Known, then: str, expires: float) -> None:
        """Have this read from now on."""
        self._client.put_item(
            TableName=self._table,
            Item={
                "what": {"S": KEY},
                "people": {"S": json.dumps(known, separators=(",", ":"))},
                "next": {"S": then},
                "expires": {"N": str(int(expires))},
            },
        )


class Quiet:
    """Says who wants not to be disturbed now; what it read is good for half a minute."""

    def __init__(self, heard: Heard, wall_s: Callable[[], float] = time.time) -> None:
        self._heard, self._wall_s = heard, wall_s
        self._known: Known = {}
        self._good_until = 0.0  # monotonic s

    def has(self, thing: str) -> bool:
        """Whether somebody wants not to be disturbed now."""
        if time.monotonic() >= self._good_until:
            self._read()
        now = self._wall_s()
        return any(start <= now < end for start, end in self._known.get(thing, ()))

    def _read(self) -> None:
        good_s = READ_FOR_S
        try:
            self._known, _ = self._heard.read()
        except Exception as error:  # whatever it is, somebody waits at the booth
            log.warning("Who wants not to be disturbed is not known now: %s", type(error).__name__)
            self._known, good_s = {}, AGAIN_S
        self._good_until = time.monotonic() + good_s


def ask(
    place: Place,
    asker: Asker,
    counts: Collection[str],
    heard: Heard,
    *,
    wall_s: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Ask Slack about as many people as there is time for, from where the round before ended, and keep what it says.

    Raises:
        NotTold: Slack does not say it now; what it said before that is kept.
        Rejected: the people cannot be listed now.
    """
    until = time.monotonic() + ROUND_S

    def rest(seconds: float) -> bool:
        sleep(seconds)
        return time.monotonic() > until

    known, first = heard.read()
    named = sorted((thing, id) for id, thing in people_of(place).items())
    turn = [each for each in named if each[0] >= first] + [each for each in named if each[0] < first]
    said: dict[str, tuple[Span, ...]] = {}
    try:
        said.update(wishes(asker, {id: thing for thing, id in turn}, counts, rest))
    finally:
        now = wall_s()
        then = next((thing for thing, _ in turn if thing not in said), first)
        heard.write(_of_use({**known, **_until_old(said, now)}, now), then, now + OLD_S)


def _until_old(said: Known, now: float) -> Known:
    """Nothing of it holds for longer than until it is old."""
    return {
        thing: tuple((start, min(end, now + OLD_S)) for start, end in spans) for thing, spans in said.items()
    }


def _of_use(known: Known, now: float) -> Known:
    """Without what is over, and what begins only once it is old."""
    kept = {thing: tuple(span for span in spans if now < span[1] > span[0]) for thing, spans in known.items()}
    return {thing: spans for thing, spans in kept.items() if spans}
