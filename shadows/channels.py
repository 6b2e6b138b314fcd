"""By which ways other than Slack people are reached: which there are, and what each needs to know of a person. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One way to reach people, such as SMS.

    Attributes:
        n: its place among all that are set, from 0.
        name: as it stands on record; never a secret.
        needs: the private attributes without which nobody can be reached by it.
    """

    n: int
    name: str
    needs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """All ways that are set, in the order in which they are tried.

    Attributes:
        after_s: how long a person has to answer before the next way is tried; a booth may say otherwise.
        slack: whether there is a Slack at all. Without it, a call has reached a person once the first way has taken it.
    """

    each: tuple[Channel, ...] = ()
    after_s: float = 60
    slack: bool = True

    def of(self, private: Mapping[str, str]) -> tuple[Channel, ...]:
        """The ways to a person with these attributes."""
        return tuple(channel for channel in self.each if channel.needs <= private.keys())

    def first_waits(self, private: Mapping[str, str]) -> bool:
        """Whether Slack comes first: not for who is not in Slack."""
        return self.slack and "slackUserId" in private
