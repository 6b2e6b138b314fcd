"""The doors as a Flask blueprint."""

from threading import Thread

from flask import Blueprint, Response, jsonify, request

from slack_bridge.doors import Services, open_door
from slack_bridge.reply import BODY_LIMIT


def blueprint(services: Services) -> Blueprint:
    """``POST /slack/outgoing``, ``/slack/events``, ``/slack/actions`` and ``/slack/commands``."""
    doors = Blueprint("slack", __name__)

    @doors.post("/slack/<name>")
    def door(name: str) -> tuple[Response, int]:
        body = request.stream.read(BODY_LIMIT + 1)
        answered = open_door(name, body, dict(request.headers), services)
        if answered.post and services.say:  # Slack waits 3 s for this answer, and saying may take as long
            Thread(target=services.say, args=(answered.post,), name="slack-say", daemon=True).start()
        return Response() if answered.body is None else jsonify(answered.body), answered.status

    return doors
