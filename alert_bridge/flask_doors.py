"""The doors as a Flask blueprint."""

from flask import Blueprint, Response, request

from alert_bridge.doors import BODY_LIMIT, Services, open_door


def blueprint(services: Services) -> Blueprint:
    """``GET`` and ``POST /answer/<token>``, and ``POST /answer/status-<channel>-<n>/<token>``."""
    doors = Blueprint("answer", __name__)

    @doors.route("/answer/<path:path>", methods=["GET", "POST"])
    def door(path: str) -> Response:
        body = request.stream.read(BODY_LIMIT + 1) if request.method == "POST" else b""
        headers = {name.lower(): value for name, value in request.headers.items()}
        answer = open_door(request.method, path, headers, body, services)
        return Response(answer.body, answer.status, dict(answer.headers))

    return doors
