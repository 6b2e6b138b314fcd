"""Tells other programs of each transition: a topic rule puts it into a queue, and this takes it from there.

A transition becomes a message for each address, so that one that is down is tried again, and the others hear of it once.
What is not sent stays in the queue; SQS gives it up after as many tries as the template says.
"""

import hashlib
import json
import logging
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from infra.aws.tables import row_of
from infra.webhook import NotSent, host_of, message_of, post
from shadows.shadow import JsonObject

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

log = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 600.0


class Outbox:
    """The queue of what other programs are to be told."""

    def __init__(self, client: "SQSClient", queue: str, addresses: Sequence[str], secret: str) -> None:
        self._client, self._queue, self._secret = client, queue, secret
        # What is in an address may be a secret: in the queue is only what tells it from others.
        self._addresses = {hashlib.sha256(url.encode()).hexdigest(): url for url in addresses}

    def take(self, records: Iterable[JsonObject]) -> list[str]:
        """Send what is in these records of Lambda's; the answer is the ids of those that come again later."""
        failed: list[str] = []
        down: dict[str, NotSent] = {}
        for record in records:
            try:
                self._send(json.loads(record["body"]), down)
            except NotSent as no:
                self._later(record, no)
                failed.append(record["messageId"])
            except Exception:
                log.exception("A message of the outbox could not be sent")
                failed.append(record["messageId"])
        return failed

    def _send(self, message: JsonObject, down: dict[str, NotSent]) -> None:
        if "to" not in message:
            self._spread(message)
            return
        address = message["to"]
        url = self._addresses.get(address)
        if url is None:
            log.warning("An address is not set any more: what it was to be told is dropped")
            return
        if address in down:  # nor does it now, and the others of this batch wait
            raise down[address]
        try:
            post(url, self._secret, message_of(_row(message["of"])))
        except NotSent as no:
            down[address] = no
            log.warning("%s did not take a message: %s", host_of(url), no)
            raise

    def _spread(self, of: JsonObject) -> None:
        """A message for each address; if this ends half-way it is done again, and what comes twice has the same id."""
        for address in self._addresses:
            self._client.send_message(QueueUrl=self._queue, MessageBody=json.dumps({"to": address, "of": of}))

    def _later(self, record: Mapping[str, Any], no: NotSent) -> None:
        """Hide it for as long as it is to wait; if that fails, it comes again when the queue's own time is over."""
        tries = int(record["attributes"]["ApproximateReceiveCount"])
        pause_s = min(FIRST_PAUSE_S * 2.0 ** min(tries - 1, 20), LONGEST_PAUSE_S) * random.uniform(0.5, 1.0)  # noqa: S311
        try:
            self._client.change_message_visibility(
                QueueUrl=self._queue,
                ReceiptHandle=record["receiptHandle"],
                VisibilityTimeout=round(max(pause_s, no.retry_after_s or 0.0)),
            )
        except Exception:
            log.exception("A message of the outbox comes again later than it should")


def _row(of: JsonObject) -> JsonObject:
    """A transition; its number is made of what no other one of this person shares with it."""
    row = row_of(of["thing"], str(of.get("name") or ""), of["asked"])
    return {**row, "n": f"{row['thing']}_{row['count']}"}
