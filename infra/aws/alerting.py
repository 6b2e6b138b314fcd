"""Has alerts sent on AWS: whoever finds that somebody is to be reached by another way puts that into a queue, and a function
of its own takes it from there. So no mention waits for a provider, and no provider for another.

The queue is a FIFO one: what is asked for comes once, however many find it, and is with one function at a time.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from infra.aws.tables import Deliveries
from infra.records import of_attempt
from shadows.alerts import NotSent, Sender, deliver, is_open
from shadows.calls import Place, read
from shadows.errors import Rejected
from shadows.telling import Attempt, Note

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

log = logging.getLogger(__name__)
log.setLevel(logging.INFO)

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 15.0  # a call does not wait for long


class Asks:
    """The queue of who is to be reached by other ways than Slack."""

    def __init__(self, client: "SQSClient", url: str) -> None:
        self._client, self._url = client, url

    def put(self, thing: str, alert: str) -> None:
        """Have ``alert``, what is asked for in that person's shadow, be done; it comes once, however often it is put."""
        id = hashlib.sha256(f"{thing} {alert}".encode()).hexdigest()
        self._client.send_message(
            QueueUrl=self._url,
            MessageBody=json.dumps({"alert": thing}),
            MessageGroupId=id,
            MessageDeduplicationId=id,
        )

    def hide(self, record: Mapping[str, Any], for_s: float) -> None:
        """Have a message come again so much later; if that fails, it comes when the queue's own time is over."""
        try:
            self._client.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=record["receiptHandle"], VisibilityTimeout=round(for_s)
            )
        except Exception:
            log.exception("An alert comes again later than it should")


class Alerter:
    """Sends what the queue says: one alert for each message, which comes again for the next."""

    def __init__(
        self,
        place: Place,
        asks: Asks,
        sender: Callable[[], Sender | None],
        on_record: Deliveries | None = None,
    ) -> None:
        """``sender`` is made at the first alert, for it takes a while."""
        self._place, self._asks, self._sender, self._on_record = place, asks, sender, on_record

    def take(self, records: Iterable[Mapping[str, Any]]) -> list[str]:
        """Do what these records of Lambda's say; the answer is the ids of those that come again."""
        failed = []
        for record in records:
            if (again_s := self._again_s(record)) is not None:
                self._asks.hide(record, again_s)
                failed.append(record["messageId"])
        return failed

    def _again_s(self, record: Mapping[str, Any]) -> float | None:
        """Send, and say in how many seconds to come again; None for never."""
        tries = int(record["attributes"]["ApproximateReceiveCount"])
        pause_s = min(FIRST_PAUSE_S * 2.0 ** min(tries - 1, 20), LONGEST_PAUSE_S)
        try:
            thing, sender = json.loads(record["body"])["alert"], self._sender()
            if sender is None:
                log.warning("No way is set any more: %s is not reached", thing)
                return None
            note = noting(self._on_record, f"{record['messageId']}.{tries}")
            went_on = deliver(self._place, thing, sender, note)
            return 0.0 if went_on and is_open(read(self._place, thing)) else None
        except NotSent as no:
            return pause_s if no.retry_after_s is None else no.retry_after_s
        except Rejected as no:  # who was removed meanwhile is called no more
            return None if no.code == 404 else pause_s
        except Exception:
            log.exception("An alert could not be sent")
            return pause_s


def noting(on_record: Deliveries | None, event: str) -> Note:
    """A function that keeps the record of the attempts that ``event`` leads to; their log has them, too."""

    def note(attempt: Attempt) -> None:
        logged(attempt)
        if on_record and attempt.kind:
            on_record.note(of_attempt(attempt), event)

    return note


def logged(attempt: Attempt) -> None:
    """Say in the log what became of an attempt, if it was one to say something."""
    if not attempt.kind:
        return
    level = logging.WARNING if attempt.reason else logging.INFO
    said = f": {attempt.reason}" if attempt.reason else ""
    log.log(
        level,
        "%s: call %s: %s: %s%s",
        attempt.thing,
        attempt.asked.call.id,
        attempt.kind,
        attempt.outcome,
        said,
    )
