"""DataFrames for the tests of tables."""

import numpy as np
import pandas as pd


def messy(rows=400, seed=0):
    """Every kind of column, with missing cells in most."""
    rng = np.random.default_rng(seed)
    days = pd.Timestamp("2013-01-01") + pd.to_timedelta(rng.integers(0, 900, rows), unit="D")
    seconds = pd.Timestamp("2020-03-01") + pd.to_timedelta(rng.integers(0, 10**8, rows), unit="s")
    exact = pd.Timestamp("2020-03-01") + pd.to_timedelta(rng.integers(0, 10**16, rows), unit="ns")
    sizes = pd.Categorical(rng.choice(["S", "M", "L"], rows), categories=["S", "M", "L"], ordered=True)
    df = pd.DataFrame(
        {
            "city": rng.choice(["Rome", "Oslo", "Bern"], rows),
            "code": rng.choice([f"c{i}" for i in range(150)], rows),
            "size": sizes,
            "flag": rng.uniform(size=rows) < 0.3,
            "age": rng.poisson(30.0, rows),
            "delay": np.where(rng.uniform(size=rows) < 0.4, 0, rng.normal(5, 50, rows).round()).astype(int),
            "income": rng.lognormal(10.0, 1.0, rows),
            "gain": np.where(rng.uniform(size=rows) < 0.8, 0.0, rng.gamma(2.0, 1234.5, rows)),
            "day": days,
            "second": seconds,
            "exact": exact,
            "zoned": pd.DatetimeIndex(seconds).tz_localize("UTC").tz_convert("Europe/Oslo"),
            "same": 3,
            "nothing": np.nan,
        }
    )
    for name in ("city", "size", "age", "income", "gain", "day", "second", "exact"):
        df[name] = df[name].mask(rng.uniform(size=rows) < 0.1)
    return df


def small(rows=600, seed=0):
    """Two categories and a count that depend on one another, of which few values have much mass."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 3, rows)
    second = (rng.uniform(size=rows) < 0.2 + 0.3 * first).astype(int)
    number = rng.poisson(0.5 + first + second)
    return pd.DataFrame({"a": np.array(["x", "y", "z"])[first], "b": np.array(["no", "yes"])[second], "n": number})
