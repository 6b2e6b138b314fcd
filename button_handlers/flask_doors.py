"""The HTTP doors under Flask."""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from button_handlers.doors import BODY_LIMIT, Door, Request, Services, on_soracom, on_webhook
from button_handlers.touch import on_cancel, on_pair, on_touch


def blueprint(services: Services) -> Blueprint:
    """``POST /buttons/soracom``, and ``/buttons/webhook`` by POST, or by GET for what can only call a URL; and ``/kiosk/*`` of screens."""
    doors = Blueprint("buttons", __name__)

    def through(door: Door) -> ResponseReturnValue:
        # One byte more than is allowed tells that there is too much, without reading all of it.
        body = request.stream.read(BODY_LIMIT + 1)
        answer = door(Request.of(dict(request.headers), request.args.to_dict(), body), services)
        return answer.body, answer.code

    @doors.post("/buttons/soracom")
    def soracom() -> ResponseReturnValue:
        return through(on_soracom)

    @doors.route("/buttons/webhook", methods=["GET", "POST"])
    def webhook() -> ResponseReturnValue:
        return through(on_webhook)

    @doors.post("/kiosk/pair")
    def pair() -> ResponseReturnValue:
        return through(on_pair)

    @doors.post("/kiosk/press")
    def touch() -> ResponseReturnValue:
        return through(on_touch)

    @doors.post("/kiosk/cancel")
    def cancel() -> ResponseReturnValue:
        return through(on_cancel)

    return doors
