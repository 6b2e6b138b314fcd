"""How what a click starts is started, in both places: by Lambda's Invoke, by a signed POST, by a publish.

Each try of one press carries the same id: in the payload's ``staffcall.id`` and, of a webhook, in ``webhook-id``; of a
message in MQTT 5's correlation data, for its payload is left as it is written: lamps and plugs take no other.
"""

import json
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from button_handlers.doors import is_press
from infra import webhook
from infra.webhook import Message, NotSent
from shadows.actions import Action, Allowed, Kind, NotDone, Order
from shadows.errors import Rejected
from shadows.shadow import JsonObject

CONNECT_S: Final = 2
READ_S: Final = 5
AGAIN: Final = (408, 425, 429)  # statuses below 500 that pass

Publish = Callable[[str, bytes, bytes], None]


@cache
def functions() -> Any:
    """boto3's client of Lambda, by the credentials and the region that boto3 finds; it tries once."""
    import boto3  # noqa: PLC0415 - it takes long, and few need it
    from botocore.config import Config  # noqa: PLC0415

    once = Config(retries={"total_max_attempts": 1}, connect_timeout=CONNECT_S, read_timeout=READ_S)
    return boto3.Session().client("lambda", config=once)


class Starter:
    """Starts what is allowed here, and nothing else; it is :class:`shadows.actions.Doer`.

    Args:
        allowed: what whoever runs the place has named.
        secret: with which webhooks are signed; "" if there is none.
        publish: puts a payload on a topic, with its correlation data.
        functions: boto3's client of Lambda, once it is needed.
        named_only: whether nothing is started that is not named, as on AWS: what has no name there has no rights, and
            the sweep does not look for it.
    """

    def __init__(
        self,
        allowed: Allowed,
        secret: str,
        publish: Publish,
        functions: Callable[[], Any] = functions,
        *,
        named_only: bool = False,
    ) -> None:
        self._allowed, self._secret, self._publish, self._functions = allowed, secret, publish, functions
        self._named_only = named_only

    def start(self, action: Action, order: Order) -> None:
        """As :meth:`shadows.actions.Doer.start`."""
        if why := self.refuses(action):
            raise NotDone(why, passes=False)
        ways = {Kind.LAMBDA: self._invoke, Kind.WEBHOOK: self._post, Kind.TOPIC: self._say}
        ways[action.kind](action, order)

    def refuses(self, action: Action) -> str:
        """Why an action is never started here; "" if it may be."""
        if not (self._allowed.has(action) if self._named_only else self._allowed.lets(action)):
            return f"STAFFCALL_ACTIONS does not have {action.label}"
        if action.kind is Kind.WEBHOOK and not self._secret:
            return "STAFFCALL_WEBHOOK_SECRET is not set"
        if action.kind is Kind.TOPIC and is_press(action.target):
            return f"{action.target} is a topic on which buttons press"
        return ""

    def _invoke(self, action: Action, order: Order) -> None:
        """Hand it to Lambda, which keeps it and runs it; how it ends is in the function's own log."""
        from botocore.exceptions import (  # noqa: PLC0415 - as boto3
            BotoCoreError,
            ClientError,
            ConnectionError,
            HTTPClientError,
        )

        try:
            self._functions().invoke(
                FunctionName=action.target,
                InvocationType="Event",
                Payload=json.dumps(_document(action, order)).encode(),
            )
        except ClientError as no:
            status = no.response["ResponseMetadata"]["HTTPStatusCode"]
            code = no.response["Error"].get("Code", "")
            raise NotDone(f"Lambda answered {status} {code}", passes=_passes(status)) from no
        except BotoCoreError as no:  # by its kind alone: its text may be long
            kind, passes = type(no).__name__, isinstance(no, ConnectionError | HTTPClientError)
            raise NotDone(f"Lambda was not reached: {kind}", passes=passes) from no

    def _post(self, action: Action, order: Order) -> None:
        message = Message(
            id=f"msg_{order.id}", body=webhook.body_of("action", order.at, _document(action, order))
        )
        try:
            webhook.post(action.target, self._secret, message)
        except NotSent as no:
            passes = no.status is None or _passes(no.status)
            raise NotDone(str(no), passes=passes, retry_after_s=no.retry_after_s) from no

    def _say(self, action: Action, order: Order) -> None:
        try:
            self._publish(
                action.target, json.dumps(action.payload, ensure_ascii=False).encode(), order.id.encode()
            )
        except Rejected as no:
            raise NotDone(no.message, passes=no.code == 429 or no.code >= 500) from no


def _document(action: Action, order: Order) -> JsonObject:
    about = {"id": order.id, "click": order.click, "booth": order.booth, "at": order.at}
    return {**action.payload, "staffcall": about}


def _passes(status: int) -> bool:
    return status >= 500 or status in AGAIN
