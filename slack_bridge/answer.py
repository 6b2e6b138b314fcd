"""A reply becomes an event of its writer's call, and the words to say back."""

from dataclasses import replace

from shadows.calls import Outcome, Place, attributes, goes_already, read, record, volunteer
from shadows.cards import card_of, cards_of
from shadows.errors import Rejected
from shadows.staff import BUSY, UNANSWERED, Call, CallEvent, StaffState, answered
from slack_bridge.phrases import Phrases, phrases
from slack_bridge.reply import Reply
from slack_bridge.words import (
    escaped,
    for_the_visitor,
    hear,
    may_answer,
    minutes,
    starts_like_an_answer,
)


def answer(reply: Reply, place: Place, lang: str) -> str:
    """Record what somebody wrote, and find what to say back; "" for nothing: chatter, or a repeat.

    Who wrote answers for nobody but themselves. A doubtful text is no answer; it may be for the visitor, as is what
    somebody writes on their way: see :func:`_aside`.

    Raises:
        Rejected: 503, if others kept writing to the same shadow; Slack sends it again.
    """
    heard, say = hear(reply.text), phrases(lang)
    if heard is None and not (reply.addressed or reply.thread or may_answer(reply.text)):
        return ""
    thing = staff_of(place, reply.user)
    if reply.reaction and not (thing and _is_called_by(place, thing, reply.about)):
        return ""
    event = heard.event if heard else None
    if not thing:
        return say.stranger if event or reply.addressed else ""
    if heard is None or event is None:
        return _aside(reply, place, say, thing)
    if reply.about and _is_of_another(place, thing, reply.about):
        return say.another.format(name=_name(place, thing))
    if event is CallEvent.OK and (
        went := volunteer(place, thing, reply.key, heard.note, minutes(heard.note))
    ):
        return _volunteered(say, place, thing, went)
    outcome = record(place, thing, answered(event, reply.key, heard.note, minutes(heard.note)))
    if outcome.repeat:
        return ""
    hint = say.thread if event is CallEvent.OK and _in_thread(reply, place, thing, outcome.call) else ""
    return _words(say, place, event, outcome) + (hint if outcome.before is StaffState.CALLING else "")


def _aside(reply: Reply, place: Place, say: Phrases, thing: str) -> str:
    """What is said to a text that is no answer.

    It is for the visitor if its writer has a call and wrote it in the thread of that; and from the channel, if they have
    yet to answer and it was to be that. Never, if it asks something or calls a colleague.
    """
    staff = read(place, thing)
    is_called, threaded = staff.state is StaffState.CALLING, _in_thread(reply, place, thing, staff.call)
    like_an_answer = starts_like_an_answer(reply.text)
    tried = is_called and (like_an_answer or may_answer(reply.text))
    note = for_the_visitor(reply.text) if staff.state in BUSY and (threaded or tried) else ""
    if note:
        return _noted(reply, place, say, thing, note, clear=not (is_called or like_an_answer))
    asked = is_called and (threaded or tried)
    doubtful = hear(reply.text) is not None and (like_an_answer or staff.state in BUSY)
    return say.doubtful if reply.addressed or asked or doubtful else ""


def _noted(reply: Reply, place: Place, say: Phrases, thing: str, note: str, *, clear: bool) -> str:
    """Have the screen show what is no answer; ``clear``: nobody can have meant it for one."""
    staff = read(place, thing)
    said = answered(CallEvent.NOTE, reply.key, note, minutes(note))
    outcome = record(place, thing, replace(said, about=(staff.call.id, staff.asked.since)))
    if outcome.repeat or outcome.call.note != note:  # another word of theirs came in this very moment
        return ""
    return (say.noted if clear else say.unclear).format(note=escaped(note))


def _in_thread(reply: Reply, place: Place, thing: str, call: Call) -> bool:
    """Whether it was written below the card of somebody's call."""
    card = card_of(attributes(place, thing), call.id) if reply.thread else None
    return card is not None and card.ts == reply.thread


def staff_of(place: Place, user: str) -> str:
    """The thing of who has this Slack id; "" if nobody has, or if nobody can be called by it yet."""
    for thing in place.things.list(type="staff", attribute=("slackUserId", user)):
        try:
            place.shadows.get(thing.name)
        except Rejected as no:
            if no.code != 404:
                raise
        else:
            return thing.name
    return ""


def _is_called_by(place: Place, thing: str, ts: str) -> bool:
    """Whether a message is the card of the call that this person has yet to answer."""
    staff = read(place, thing)
    card = card_of(attributes(place, thing), staff.call.id)
    return staff.state is StaffState.CALLING and card is not None and card.ts == ts


def _is_of_another(place: Place, thing: str, ts: str) -> bool:
    """Whether a message is the card of another call than the one that this person has now: its buttons are old, or not theirs.

    One that nobody knows is theirs: a crash may have come before it was remembered.
    """
    staff, own = read(place, thing), cards_of(attributes(place, thing))
    if mine := next((card for card in own if card.ts == ts), None):
        return mine.call != staff.call.id
    if staff.state not in BUSY:  # they may go where nobody else does
        return False
    others = place.things.list(type="staff")
    return any(card.ts == ts for other in others for card in cards_of(other.attributes))


def _volunteered(say: Phrases, place: Place, thing: str, outcome: Outcome) -> str:
    name = _name(place, thing)
    if outcome.thing != thing:
        return say.quicker.format(name=name, to=_name(place, outcome.thing))
    note = say.note.format(note=escaped(outcome.call.note)) if outcome.call.note else ""
    return say.answers[CallEvent.OK, StaffState.CALLING].format(name=name) + note


def _words(say: Phrases, place: Place, event: CallEvent, outcome: Outcome) -> str:
    text = say.answers[event, outcome.before].format(name=_name(place, outcome.thing))
    late = event is CallEvent.OK and outcome.before is StaffState.IDLE
    if late and (goes := goes_already(place, outcome.thing)):
        return say.quicker.format(name=_name(place, outcome.thing), to=_name(place, goes))
    if not outcome.changed or outcome.before not in BUSY:  # then it was not about a call
        return text
    if event is CallEvent.OK and outcome.before is StaffState.RUNNING:
        return say.noted.format(note=escaped(outcome.call.note))
    if event is CallEvent.OK and outcome.call.note:
        return text + say.note.format(note=escaped(outcome.call.note))
    if outcome.call.end in UNANSWERED and outcome.call.to:
        return text + say.handed_over.format(to=_name(place, outcome.call.to))
    if outcome.call.end in UNANSWERED and event is CallEvent.NO:
        return text + say.nobody_else
    return text


def _name(place: Place, thing: str) -> str:
    return escaped(read(place, thing).name or thing.removeprefix("staff-"))
