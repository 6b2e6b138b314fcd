"""Why Slack does not take a message, in its own words, and what to do about each. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What an answer of Slack's means.

    Attributes:
        channel: True if nothing can be sent now; False if only this message was refused.
        fix: one sentence that says what somebody has to do; "" if it may pass by itself.
    """

    channel: bool = True
    fix: str = ""


_ADDRESS: Final = (
    "Nothing of Slack's is at this address any more: make a new incoming webhook, set SLACK_WEBHOOK_URL and start "
    "again (with a bot, look at SLACK_API_URL)."
)
_ADMIN: Final = "Ask an administrator of the workspace to let this app post in the channel."
_ARCHIVED: Final = (
    "Unarchive the channel, or choose another one, by SLACK_CHANNEL or by a new webhook, and start again."
)
_BUG: Final = (
    "Staff Call cannot say this to Slack as it does: update it, and report this if that does not help."
)
# Of the other token, which opens Socket Mode.
SOCKET_MODE: Final = (
    "Switch Socket Mode on, make an app-level token (xapp-…) with the scope connections:write there, set "
    "SLACK_APP_TOKEN and start again."
)
_CHANNEL: Final = (
    "Check that the channel exists, set SLACK_CHANNEL to its id and invite the bot to it; with a webhook, make a "
    "new one, set SLACK_WEBHOOK_URL and start again."
)
_GUEST: Final = "Invite the bot to the channel: write /invite and its name there."
_INSTALL: Final = (
    "Install the app in the workspace again, set SLACK_BOT_TOKEN to its bot token (xoxb-…) and start again."
)
_SCOPE: Final = "Give the app the bot scope chat:write, and install it in the workspace again."
_THREAD: Final = "The message that began this thread is gone from Slack: once this call is over, press again."
_USER: Final = "Slack does not know this person's id: remove them, and add them with the id of their profile."
_WEBHOOK: Final = "The webhook was removed: make a new one, set SLACK_WEBHOOK_URL and start again."
_WORKSPACE: Final = "The workspace is gone or switched off: connect Staff Call to another one."

# Sources: docs.slack.dev, the errors of chat.postMessage; Slack's changelog, errors of incoming webhooks (2016-05-17).
_OF_THE_CHANNEL: Final[Mapping[str, str]] = {
    "access_denied": _ADMIN,
    "accesslimited": _ADMIN,
    "account_inactive": _INSTALL,
    "action_prohibited": _ADMIN,
    "channel_is_archived": _ARCHIVED,
    "channel_not_found": _CHANNEL,
    "deprecated_endpoint": _BUG,
    "ekm_access_denied": _ADMIN,
    "enterprise_is_restricted": _ADMIN,
    "invalid_auth": _INSTALL,
    "invalid_token": _WEBHOOK,
    "is_archived": _ARCHIVED,
    "method_deprecated": _BUG,
    "missing_scope": _SCOPE,
    "no_active_hooks": _WEBHOOK,
    "no_permission": _ADMIN,
    "no_service": _WEBHOOK,
    "no_service_id": _WEBHOOK,
    "no_team": _WORKSPACE,
    "not_allowed_token_type": _INSTALL,
    "not_authed": _INSTALL,
    "not_in_channel": _GUEST,
    "posting_to_general_channel_denied": _ADMIN,
    "restricted_action": _ADMIN,
    "restricted_action_read_only_channel": _ADMIN,
    "restricted_action_thread_only_channel": _ADMIN,
    "team_access_not_granted": _INSTALL,
    "team_disabled": _WORKSPACE,
    "token_expired": _INSTALL,
    "token_revoked": _INSTALL,
    "two_factor_setup_required": _ADMIN,
    "unknown_method": _BUG,
}
_OF_ONE_MESSAGE: Final[Mapping[str, str]] = {
    "invalid_arguments": _BUG,
    "invalid_blocks": _BUG,
    "invalid_payload": _BUG,
    "msg_too_long": _BUG,
    "no_text": _BUG,
    "restricted_action_non_threadable_channel": _ADMIN,
    "thread_not_found": _THREAD,
    "too_many_attachments": _BUG,
    "user_not_found": _USER,
}
_PASSING: Final = (
    "fatal_error",
    "internal_error",
    "org_login_required",
    "rate_limited",
    "ratelimited",
    "request_timeout",
    "rollup_error",
    "service_unavailable",
    "team_added_to_org",
)
REFUSALS: Final[Mapping[str, Refusal]] = {
    **{word: Refusal(fix=fix) for word, fix in _OF_THE_CHANNEL.items()},
    **{word: Refusal(channel=False, fix=fix) for word, fix in _OF_ONE_MESSAGE.items()},
    **dict.fromkeys(_PASSING, Refusal()),
}


def refusal_of(status: int, word: str) -> Refusal:
    """What an answer means that is not "ok".

    Args:
        status: of HTTP; the Web API says 200 and a word.
        word: "" if the body is none of Slack's words.
    """
    if status in (408, 429) or status >= 500:
        return Refusal()
    if known := REFUSALS.get(word):
        return known
    if status in (404, 410):
        return Refusal(fix=_ADDRESS)
    return Refusal(channel=not (word or 400 <= status < 500))
