"""Columns of dates and times, as days, as days and seconds, or as real numbers of seconds."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfar.heads import Count, Head
from tfar.optional import require
from tfar.tables.column import (
    MISSING,
    Cells,
    Column,
    Floats,
    Interval,
    OneSite,
    Restriction,
    bounds,
    is_missing_query,
    with_atoms,
)
from tfar.tables.numbers import RealColumn

DAY = 86_400
RESOLUTIONS = ("day", "second", "real")


class DatetimeColumn(Column):
    """Dates and times.

    With the resolution "day" a cell is a whole number of days, and with "second" also the second of the day, a second
    site: both are counts, which float32 represents exactly. With "real" a cell is a real number of seconds that is
    standardised in float64; its density is per second. Times with a time zone are UTC inside.

    Args:
        name, dtype, missing: see `Column`.
        resolution: "day", "second" or "real".
        origin: int. Days from 1970-01-01 to the day from which days and seconds are counted.
        loc, scale: floats for each site: of days or seconds since the origin, and of the second of the day.
        zone: None, or the name of the time zone.
    """

    kind = "datetime"

    def __init__(
        self,
        name: str,
        dtype: str,
        resolution: str,
        origin: int,
        loc: Any,
        scale: Any,
        zone: str | None = None,
        missing: bool = False,
    ) -> None:
        super().__init__(name, dtype, missing)
        if resolution not in RESOLUTIONS:
            raise self.refuse(f"a resolution among {RESOLUTIONS}", f"{resolution!r}")
        self.resolution, self.origin, self.zone = resolution, int(origin), zone
        self.loc, self.scale = tuple(map(float, loc)), tuple(map(float, scale))
        self.real = RealColumn(name, "float64", self.loc[0], self.scale[0], missing=missing)

    @property
    def base_measure(self) -> str:  # type: ignore[override]
        return self.real.base_measure if self.resolution == "real" else "counting"

    @property
    def num_sites(self) -> int:
        return 2 if self.resolution == "second" else 1

    def heads(self, num_components: int) -> list[Head]:
        if self.resolution == "real":
            return self.real.heads(num_components)
        lows = (None, 0)[: self.num_sites]
        made = [Count(num_components, *given) for given in zip(lows, self.loc, self.scale, strict=True)]
        return [with_atoms(head, (), self.missing) for head in made]

    # Days and nanoseconds since the origin, both exact ---------------------------------------------------------------

    def _split(self, series: Any) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        pandas = require("pandas", "tables")
        try:
            times = pandas.to_datetime(series, utc=True)
        except (TypeError, ValueError) as error:
            raise self.refuse("dates or times", f"{error}") from error
        present = np.asarray(times.notna())
        nanoseconds = times.fillna(pandas.Timestamp(0, tz="UTC")).dt.tz_localize(None).to_numpy("datetime64[ns]")
        nanoseconds = nanoseconds.astype(np.int64)
        days, within = np.divmod(nanoseconds, DAY * 10**9)
        return np.where(present, days - self.origin, 0), np.where(present, within, 0), present

    def encode(self, series: Any) -> Cells:
        days, within, present = self._split(series)
        if self.resolution == "real":
            return self.real.encode_numbers(np.where(present, days * float(DAY) + within / 1e9, math.nan))
        step = 10**9 if self.resolution == "second" else DAY * 10**9
        if (within % step).any():
            found = series.iloc[int(np.flatnonzero(within % step)[0])]
            raise self.refuse(f"times of whole {self.resolution}s", f"{found}")
        values = np.stack([days, within // 10**9], axis=-1)[:, : self.num_sites]
        values = np.where(present[:, None], values, MISSING if self.missing else 0)
        return Cells(values.astype(np.float32), present | self.missing, np.zeros(len(values)))

    def decode(self, values: NDArray[Any]) -> Any:
        pandas = require("pandas", "tables")
        values = np.asarray(values, np.float64)
        if self.resolution == "real":
            seconds = self.real.decode_numbers(values[:, 0])
        else:
            seconds = DAY * values[:, 0] + (values[:, 1] if self.num_sites == 2 else 0.0)
            seconds = np.where((values <= MISSING / 2).any(axis=1), math.nan, seconds)
        return pandas.Series(self._times(seconds)).astype(self.dtype)

    def is_invalid(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """See `Column`. The day and the second of a time are either both missing or both present."""
        is_missing = np.asarray(values) <= MISSING / 2
        return np.asarray(is_missing.any(axis=1) & ~is_missing.all(axis=1))

    def _times(self, seconds: NDArray[np.float64]) -> Any:
        """Returns the times of seconds since the origin, NaT for NaN."""
        pandas = require("pandas", "tables")
        whole = np.floor(np.where(np.isnan(seconds), 0.0, seconds))
        rest = np.where(np.isnan(seconds), 0.0, seconds) - whole
        nanoseconds = whole.astype(np.int64) * 10**9 + np.round(rest * 1e9).astype(np.int64)
        times = pandas.to_datetime(nanoseconds + self.origin * DAY * 10**9, unit="ns")
        times = times.where(~np.isnan(seconds))
        return times if self.zone is None else times.tz_localize("UTC").tz_convert(self.zone)

    def summary(self, name: str, values: NDArray[Any]) -> Any:
        """Times for "mean" and "quantile" of the day, or of the seconds, and a Timedelta for "stddev"."""
        pandas = require("pandas", "tables")
        values = np.asarray(values, np.float64)
        seconds = self.real.summary(name, values) if self.resolution == "real" else values * DAY
        return pandas.to_timedelta(seconds, unit="s") if name == "stddev" else self._times(seconds)

    def restriction(self, condition: Any) -> Restriction:
        if is_missing_query(self, condition):
            return OneSite(Interval(MISSING, MISSING))
        pandas = require("pandas", "tables")
        ends = [math.nan if end is None else self._seconds(pandas, end) for end in bounds(self, condition)]
        low, high = (-math.inf if math.isnan(ends[0]) else ends[0]), (math.inf if math.isnan(ends[1]) else ends[1])
        return _Between(self, low, high)

    def _seconds(self, pandas: Any, time: Any) -> float:
        try:
            stamp = pandas.Timestamp(time)
        except (TypeError, ValueError) as error:
            raise self.refuse("dates or times", f"{time!r}") from error
        stamp = stamp.tz_convert("UTC").tz_localize(None) if stamp.tzinfo is not None else stamp
        return (stamp - pandas.Timestamp(0)).total_seconds() - self.origin * DAY

    def get_config(self) -> dict[str, Any]:
        own = {"resolution": self.resolution, "origin": self.origin, "zone": self.zone}
        return {**own, "loc": list(self.loc), "scale": list(self.scale)}


class _Between(Restriction):
    """Times from `low` to `high`, in seconds since the origin."""

    def __init__(self, column: DatetimeColumn, low: float, high: float) -> None:
        self._column, self._low, self._high = column, low, high

    def allowed(self, number: int, earlier: Floats) -> Interval:
        lowest, column = MISSING / 2, self._column
        if column.resolution == "real":
            low, high = ((end - column.loc[0]) / column.scale[0] for end in (self._low, self._high))
            return Interval(max(low, lowest), high)
        first = math.floor(self._low / DAY) if math.isfinite(self._low) else -math.inf
        last = math.floor(self._high / DAY) if math.isfinite(self._high) else math.inf
        if column.num_sites == 1 and self._low > first * DAY:  # a whole day is its midnight
            first += 1
        if number == 0:
            return Interval(max(first, lowest), last)
        day = np.asarray(earlier[:, 0], np.float64)
        lower = np.where(day == first, self._low - first * DAY, 0.0)
        return Interval(lower, np.where(day == last, self._high - last * DAY, math.inf))
