"""Rotating shards: of the tests that are too many for every day, a sixteenth runs before a change lands."""

import datetime
import os
from collections.abc import Mapping

NUM_SHARDS = 16


def shard_of_today(environment: Mapping[str, str] = os.environ, today: datetime.date | None = None) -> str:
    """Returns the shard "k/n" that TFAR_SHARD names; else one by the date: sixteen days cover all."""
    today = datetime.date.today() if today is None else today
    return environment.get("TFAR_SHARD") or f"{today.toordinal() % NUM_SHARDS}/{NUM_SHARDS}"


def is_in(number: int, shard: str) -> bool:
    """Returns whether the test with this number, from 0, is in the shard "k/n".

    Raises:
        ValueError: If it is no such shard.
    """
    own, count = (int(part) for part in shard.split("/"))
    if not 0 <= own < count:
        raise ValueError(f"Expected a shard k/n with 0 <= k < n; received {shard!r}.")
    return number % count == own


def is_of_today(number: int) -> bool:
    """Returns whether the test with this number, from 0, is in the shard of today."""
    return is_in(number, shard_of_today())
