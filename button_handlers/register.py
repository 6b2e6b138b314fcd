"""The way in for who registers buttons on AWS, by one request: a Lambda function of its own, behind a signature of IAM's.

Here the same address is one of the admin's (:mod:`infra.local.admin`).
"""

from button_handlers.doors import BODY_LIMIT, Answer, Request, answered, through_gateway
from shadows.actions import Allowed
from shadows.calls import Place
from shadows.errors import Rejected
from shadows.forms import read_body, register_button
from shadows.shadow import JsonObject


def on_register(event: JsonObject, place: Place, allowed: Allowed) -> JsonObject:
    """``POST /buttons/register`` by an HTTP API (payload 2.0) whose route asks for IAM; without that nobody gets in."""

    def work(request: Request) -> JsonObject:
        if not event["requestContext"].get("authorizer", {}).get("iam"):
            raise Rejected(
                403, "authorization: expected a request that AWS has found signed by an IAM identity"
            )
        if len(request.body) > BODY_LIMIT:
            raise Rejected(413, f"body: expected at most {BODY_LIMIT} bytes")
        return {"done": register_button(place, read_body(request.body), allowed)}

    def door(request: Request) -> Answer:
        return answered(lambda: work(request))

    return through_gateway(event, door)
