"""What every test stands on."""

from typing import Final

import pytest
from hypothesis import HealthCheck, settings

# Most of a minute each, and most with few tests: whoever came to one of them last would keep all others waiting.
LONGEST: Final = (
    "audit",
    "acceptance",
    "aws_deploy",
    "story",
    "secrets",
    "broker",
    "kiosk",
    "admin",
    "signs",
    "kiosk_everyone",
    "crash",
    "alerts",
    "aws_story",
    "backup",
)

# Two slow cores share the machine with a browser: how long a draw takes says nothing about the code.
settings.register_profile(
    "here", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
# As long as it takes: `make soak`.
settings.register_profile("soak", settings.get_profile("here"), max_examples=4000, stateful_step_count=40)
settings.load_profile("here")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files."""
    places = {f"test_{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))
