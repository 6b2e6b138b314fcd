"""Retained messages on disk: AWS keeps them for years, and so whoever asks after a restart must find them."""

import json
import sqlite3
from dataclasses import asdict, replace
from typing import Any, Final

from infra.local.gateway import Kept, Message, PublishProperties

TABLE: Final = """
CREATE TABLE IF NOT EXISTS retained (
    topic TEXT PRIMARY KEY, payload BLOB NOT NULL, qos INTEGER NOT NULL, said TEXT NOT NULL, at INTEGER NOT NULL
) STRICT;
"""


def remember(db: sqlite3.Connection, topic: str, kept: Kept | None) -> None:
    """Write down what a topic has now; None if nothing."""
    if kept is None:
        db.execute("DELETE FROM retained WHERE topic = ?", (topic,))
        return
    message = kept.message
    row = topic, message.payload, message.qos, _written(message.properties), kept.at_ms
    db.execute("INSERT OR REPLACE INTO retained VALUES (?, ?, ?, ?, ?)", row)


def all_of(db: sqlite3.Connection, now_ms: int) -> list[Kept]:
    """What is retained and has not expired, the oldest first."""
    rows = db.execute("SELECT * FROM retained ORDER BY at").fetchall()
    return [
        Kept(Message(topic, payload, qos, True, said), at_ms)
        for topic, payload, qos, text, at_ms in rows
        if (said := _aged(_read(text), now_ms - at_ms))
    ]


def _aged(said: PublishProperties, by_ms: int) -> PublishProperties | None:
    """With what is left of its expiry; None if it has passed."""
    if said.expiry_s is None:
        return said
    left_s = said.expiry_s - by_ms // 1000
    return replace(said, expiry_s=left_s) if left_s > 0 else None


def _written(said: PublishProperties) -> str:
    correlation = None if said.correlation is None else said.correlation.hex()
    return json.dumps(asdict(said) | {"correlation": correlation})


def _read(text: str) -> PublishProperties:
    said: dict[str, Any] = json.loads(text)
    correlation, user = said.pop("correlation"), said.pop("user")
    return PublishProperties(
        **said,
        correlation=None if correlation is None else bytes.fromhex(correlation),
        user=tuple((name, value) for name, value in user),
    )
