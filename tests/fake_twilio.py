"""A Twilio to send to: it really listens, takes what Twilio's Message resource takes, and fails on order."""

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from infra.alerts.twilio import signature
from tests.served import Obedient

SID = "AC00000000000000000000000000000000"
TOKEN = "canarytoken0123456789abcdef012345"
SENDER = "15005550006"
URL = f"twilio://{SID}:{TOKEN}@{SENDER}/{{phone}}"
PATH = f"/2010-04-01/Accounts/{SID}/Messages.json"
Does = Callable[["_Handler", dict[str, str]], None]


@dataclass(frozen=True, kw_only=True)
class Sms:
    """One request."""

    path: str
    login: str
    kind: str
    form: dict[str, str]

    @property
    def link(self) -> str:
        """The address in the message."""
        return next(word for word in self.form["Body"].split() if word.startswith("http"))


def created(handler: "_Handler", form: dict[str, str]) -> None:
    """Take the message, in Twilio's words."""
    said = {
        "account_sid": SID,
        "api_version": "2010-04-01",
        "body": form["Body"],
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "from": form["From"],
        "num_segments": "1",
        "sid": "SM" + "0" * 32,
        "status": "queued",
        "to": form["To"],
    }
    handler.say(201, said)


def refuses(status: int, code: int, **headers: str) -> Does:
    """Refuse a message, in Twilio's words."""
    more = f"https://www.twilio.com/docs/errors/{code}"
    said = {"code": code, "message": "canary", "more_info": more, "status": status}
    return lambda handler, _form: handler.say(status, said, **headers)


def hangs(handler: "_Handler", _form: dict[str, str]) -> None:
    """Say nothing, until the other side hangs up."""
    handler.connection.settimeout(30)
    handler.connection.recv(1)


class FakeTwilio(Obedient[Does]):
    """It takes every message, but what it is told."""

    def __init__(self) -> None:
        self.got: list[Sms] = []
        handler = type("Handler", (_Handler,), {"twilio": self})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        super().__init__(server, created)
        self.url = f"http://127.0.0.1:{self.port}"

    def calls_back(self, sms: Sms, status: str, *, token: str = TOKEN, **more: str) -> int:
        """Say what became of a message, as Twilio does; the answer is the status."""
        form = {
            "SmsSid": "SM" + "0" * 32,
            "SmsStatus": status,
            "MessageStatus": status,
            "To": sms.form["To"],
            "MessageSid": "SM" + "0" * 32,
            "AccountSid": SID,
            "From": sms.form["From"],
            "ApiVersion": "2010-04-01",
            **more,
        }
        url = sms.form["StatusCallback"]
        headers = {"X-Twilio-Signature": signature(token, url, form.items())}
        request = urllib.request.Request(url, urllib.parse.urlencode(form).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code


class _Handler(BaseHTTPRequestHandler):
    twilio: FakeTwilio

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = dict(urllib.parse.parse_qsl(raw, keep_blank_values=True))
        login = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
        does = self.twilio.act()
        kind = self.headers["Content-Type"]
        self.twilio.got.append(Sms(path=self.path, login=login, kind=kind, form=form))
        does(self, form)
        self.close_connection = True

    def say(self, status: int, said: dict[str, Any], **headers: str) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
