"""Socket Mode: Slack's events over a WebSocket that we open, so that a laptop needs no public address."""

import logging
import selectors
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Event, Thread
from typing import Final

from slack_sdk.errors import SlackApiError, SlackClientNotConnectedError
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from shadows.errors import Rejected
from shadows.shadow import JsonObject
from slack_bridge.doors import Answer, Services, action_answer, command_answer, event_answer
from slack_bridge.refusals import SOCKET_MODE, refusal_of
from slack_bridge.tellers import SILENT, retry_after_s, web_client

log = logging.getLogger(__name__)

LOOK_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
MUTE_S: Final = 35.0  # slack_sdk gives up after 25 s, but never on one that has answered no ping at all
READERS: Final[Mapping[str, Callable[[JsonObject, Services], Answer]]] = {
    "events_api": event_answer,
    "interactive": action_answer,
    "slash_commands": command_answer,
}


class _Client(SocketModeClient):
    """slack_sdk's own client; it connects when we say so."""

    def issue_new_wss_url(self) -> str:
        # slack_sdk's sleeps as long as Slack asks when it is rate limited, and a stop would wait for that.
        return str(self.web_client.apps_connections_open(app_token=self.app_token)["url"])


class SocketMode:
    """Keeps one connection to Slack, and answers what comes by it as the HTTP doors do.

    Args:
        app_token: ``xapp-…``, with the scope ``connections:write``.
        base_url: of the Web API (``SLACK_API_URL``); "" for Slack's own.
        services: what the doors need; ``say`` posts the answers.
        alive: is told whenever Slack has answered a ping.
        failed: is told why there is no connection, and what somebody has to do first; "" if it may pass.
    """

    def __init__(
        self,
        app_token: str,
        base_url: str,
        services: Services,
        alive: Callable[[], None] = lambda: None,
        failed: Callable[[str, str], None] = lambda _reason, _fix: None,
    ) -> None:
        self._app_token = app_token
        self._base_url = base_url
        self._services = services
        self._alive, self._failed = alive, failed
        self._answered: tuple[object, float] = (None, 0.0)  # the last pong, and when we saw it (monotonic s)
        self._stopping = Event()
        self._thread = Thread(target=self._keep_connected, name="slack-socket")

    def start(self) -> None:
        """Begin to connect; with no network, go on trying."""
        self._thread.start()

    def stop(self) -> None:
        """Close the connection and end every thread of it."""
        self._stopping.set()
        self._thread.join()

    def _keep_connected(self) -> None:
        client = _Client(
            self._app_token,
            logger=SILENT,
            web_client=web_client(self._base_url),
            auto_reconnect_enabled=False,
        )
        client.socket_mode_request_listeners.append(self._heard)
        try:
            self._watch(client)
        finally:
            _close(client)

    def _watch(self, client: _Client) -> None:
        connected, pause = None, LOOK_S
        while not self._stopping.is_set():
            if not _alive(client):
                pause, why = self._connect(client, pause)
                if why:
                    self._failed(why, SOCKET_MODE if refusal_of(200, why).fix else "")
                if why and connected is not False:  # one line an outage
                    log.warning("Socket Mode is not connected, trying again: %s", why)
            elif self._is_mute(client):
                _disconnect(client)
            if client.is_connected() is not connected:
                connected = client.is_connected()
                if connected:
                    log.info("Socket Mode is connected")
            self._stopping.wait(LOOK_S if connected else pause)

    def _is_mute(self, client: _Client) -> bool:
        """Whether Slack has left our pings unanswered for so long that there is nobody."""
        session = client.current_session
        pong = (session, session.last_ping_pong_time) if session else (None, None)
        seen, at = self._answered
        if pong != seen:
            self._answered = pong, time.monotonic()
            if pong[1] is not None:
                self._alive()
            return False
        return time.monotonic() - at > MUTE_S

    def _connect(self, client: _Client, pause: float) -> tuple[float, str]:
        """Try once. The answer is how long to wait before the next try, and why it failed."""
        longer = min(2 * pause, LONGEST_PAUSE_S)
        try:
            client.connect_to_new_endpoint()
        except SlackApiError as no:
            return retry_after_s(no.response.headers) or longer, str(no.response.get("error"))
        except Exception as error:  # whatever a network and slack_sdk can do: trying again is all there is
            return longer, type(error).__name__
        return (LOOK_S, "") if client.is_connected() else (longer, "no WebSocket")

    def _heard(self, client: BaseSocketModeClient, request: SocketModeRequest) -> None:
        try:
            answered = self._answer(request)
        except Exception:  # not acknowledged: Slack sends it again
            log.exception("Answering %s failed", request.type)
            return
        # Acknowledged when it is recorded, which takes milliseconds, and before it is answered, which may take 3 s.
        # The answer to a slash command stands in the acknowledgement itself.
        _acknowledge(client, request, answered.body if request.type == "slash_commands" else None)
        if answered.post and self._services.say:
            self._services.say(answered.post)

    def _answer(self, request: SocketModeRequest) -> Answer:
        reader = READERS.get(request.type)
        try:
            return reader(request.payload, self._services) if reader else Answer()
        except Rejected as no:
            if no.code >= 500:
                raise
            log.warning("Slack sent %s that we refuse: %s", request.type, no.message)
        return Answer()


def _acknowledge(
    client: BaseSocketModeClient, request: SocketModeRequest, body: JsonObject | None = None
) -> None:
    with suppress(SlackClientNotConnectedError):  # Slack sends it again, and then it is a repeat
        client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id, payload=body))


def _alive(client: _Client) -> bool:
    """Whether the connection is open on both sides; one that is not is closed.

    slack_sdk does not see that the other side has hung up: it reads nothing, again and again, for 20 s.
    """
    connection = client.current_session.sock if client.current_session else None
    if connection is None:
        return False
    if not _hung_up(connection):
        return True
    _hang_up(client, connection)
    return False


def _hung_up(connection: socket.socket) -> bool:
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ)
            # Below TLS, where one may look without taking.
            return bool(selector.select(0)) and socket.socket.recv(connection, 1, socket.MSG_PEEK) == b""
    except TimeoutError:  # slack_sdk took it before we looked
        return False
    except (OSError, ValueError):
        return True


def _hang_up(client: _Client, connection: socket.socket) -> None:
    client.current_session_state.terminated = True
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)  # wakes who reads, and closing waits for that
    with suppress(AttributeError):  # slack_sdk's own thread has closed it in this very moment
        client.disconnect()


def _disconnect(client: _Client) -> None:
    connection = client.current_session.sock if client.current_session else None
    if connection is not None:
        _hang_up(client, connection)


def _close(client: _Client) -> None:
    _disconnect(client)
    client.closed = True
    client.message_queue.put(None)  # wakes who waits for a message, and only looks then whether all is over
    client.close()
