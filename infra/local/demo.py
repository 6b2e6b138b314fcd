"""The demo booth of ``staffcall run --demo``: a booth, two people and a button, for whoever has nothing yet."""

from functools import partial
from typing import Final

from shadows.calls import Place
from shadows.errors import Rejected
from shadows.registry import NewBooth, NewButton, NewStaff, add_booth, add_button, add_staff

BOOTH: Final = NewBooth(id="main", title="受付 Reception")
STAFF: Final = (
    NewStaff(id="hana", name="佐藤 花 Hana", role="ご案内 Guide", slack="U0HANA", backup="sora"),
    NewStaff(id="sora", name="青山 空 Sora", role="技術 Engineering", slack="U0SORA"),
)
BUTTON: Final = NewButton(id="demo", single="hana", double="sora")


def furnish(place: Place) -> None:
    """Add what is missing of the demo; what its user changed or added stays."""
    coming = frozenset(new.id for new in STAFF)
    steps = [
        partial(add_booth, place, BOOTH),
        *(partial(add_staff, place, new, coming=coming) for new in STAFF),
    ]
    for add in (*steps, partial(add_button, place, BUTTON)):
        try:
            add()
        except Rejected as no:
            if no.code != 409:  # it is there, and changed
                raise
