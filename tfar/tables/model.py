"""A density model of a table: DataFrames in, DataFrames out, in the units of the data."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfar.heads.base import check_positive_int
from tfar.optional import require
from tfar.tables import conditionals, draws, queries
from tfar.tables.export import export_table
from tfar.tables.files import TableDensityModel
from tfar.tables.networks import NETWORKS
from tfar.tables.queries import Estimate
from tfar.tables.schema import Encoded, Schema
from tfar.tables.sites import in_chunks
from tfar.training import load_model


class TableModel:
    """Density model of the rows of a table with columns of several kinds.

        log p(row) = sum over the cells of log p(cell | cells before), in the units of the data

    A schema turns a row into the values of sites, and an autoregressive distribution models them with a head for each. All
    methods take and return DataFrames with the columns of the schema, in any order.

    `log_prob` is a density with respect to the product of the `base_measure` of each column: counting measure for classes, counts
    and days, Lebesgue measure in the units of the data for real numbers, and counting measure at their values that repeat.
    Values of models are comparable only if these are the same.

    A missing cell (NaN) is not observed, or a value of its own; see `missing`. A model of one order ("made") can leave only
    the last columns unobserved.

    Args:
        schema: the `Schema`.
        network: "made", which has one order, that of the columns; or "orderless" or "transformer", which condition on any
            columns: only with these can any cells be missing and completed, and probabilities of one column are exact. The
            transformer scores any pattern in one pass. Or a distribution over `[schema.num_sites]` with the head
            `schema.head(...)`.
        hidden_units: ints. Units of the hidden layers of "made" and "orderless". Default: two layers of 128 units. The size of
            a transformer is given by `units`, `num_layers` and the other arguments of `tfar.AnyOrderTransformer`.
        num_components: int. Components of the mixtures for numbers.
        missing: None for the meaning of the schema, or "marginalise" or "value", which every column then has.
        seed: int. Determines the initial weights and the training.
        **arguments: further arguments of `tfar.MADE`, `tfar.OrderlessNADE` or `tfar.AnyOrderTransformer`.

    Attributes:
        schema: the schema.
        dist: the distribution of encoded rows, `[schema.num_sites]`.
        model: the `DensityModel` that trains it.

    Raises:
        ValueError: If an argument is out of range, or the distribution does not fit the schema.

    Example:
        >>> import pandas as pd
        >>> df = pd.DataFrame({"age": [31, 44, 65, 58] * 25, "sex": ["F", "M", "F", "F"] * 25})
        >>> model = tfar.TableModel(tfar.tables.Schema.infer(df), hidden_units=[16])
        >>> history = model.fit(df, epochs=1, verbose=0)
        >>> model.sample(2, seed=1).columns.tolist()
        ['age', 'sex']

    References:
        Yang et al. Deep unsupervised cardinality estimation. PVLDB 13, 2019. https://arxiv.org/abs/1905.04278
    """

    def __init__(
        self,
        schema: Schema,
        network: Any = "made",
        *,
        hidden_units: Sequence[int] | None = None,
        num_components: int = 5,
        missing: str | None = None,
        seed: int = 0,
        **arguments: Any,
    ) -> None:
        if not isinstance(schema, Schema):
            raise ValueError(f"Expected `schema` to be a Schema; received a {type(schema).__name__}.")
        schema = schema if missing is None else schema.with_missing(missing)
        if hidden_units is not None:
            arguments["hidden_units"] = hidden_units
        if isinstance(network, str):
            if network not in NETWORKS:
                raise ValueError(f"Expected `network` to be one of {sorted(NETWORKS)}; received {network!r}.")
            network = NETWORKS[network](schema.head(num_components), seed=seed, **arguments)
        elif arguments:
            raise ValueError(f"Expected no further arguments with a distribution; received {sorted(arguments)}.")
        self._set(TableDensityModel(_checked(network, schema), schema, seed=seed))

    def _set(self, model: TableDensityModel) -> None:
        self.model, self.schema, self.dist = model, model.schema, model.dist

    def __getstate__(self) -> dict[str, Any]:
        return {"model": self.model}  # which owns schema and distribution: pickled apart, they would be copies

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._set(state["model"])

    @property
    def base_measure(self) -> dict[str, str]:
        """What `log_prob` is a density of, for each column."""
        return self.schema.base_measure

    def __repr__(self) -> str:
        return f"TableModel({self.schema!r}, {type(self.dist).__name__})"

    # Training --------------------------------------------------------------------------------------------------------

    def fit(
        self,
        df: Any,
        *,
        validation_data: Any = None,
        epochs: int = 20,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        optimizer: Any = None,
        sample_weight: Any = None,
        verbose: Any = "auto",
        callbacks: Iterable[Any] = (),
    ) -> keras.callbacks.History:
        """Trains on the rows of a DataFrame.

        Args:
            df: DataFrame.
            validation_data: None or DataFrame, on which each epoch reports `val_nll` of the encoded values.
            epochs, batch_size, verbose: as in `keras.Model.fit`.
            learning_rate: float. That of Adam, if there is no `optimizer`.
            optimizer: None, or an optimizer of Keras. A second call of `fit` without one goes on with that of the first.
            sample_weight: None, or a weight for each row.
            callbacks: callbacks of Keras.

        Returns:
            The history. `loss` and `nll` are those of the encoded values: `log_prob` also counts the units of real columns.

        Raises:
            ValueError: If a table does not fit the schema, or the network cannot leave unobserved what is missing.
        """
        if optimizer is not None or not self.model.compiled:
            self.model.compile(optimizer=keras.optimizers.Adam(learning_rate) if optimizer is None else optimizer)
        weight = None if sample_weight is None else np.asarray(sample_weight, np.float32)
        return self.model.fit(
            self._rows(df),
            epochs=epochs,
            batch_size=batch_size,
            validation_data=None if validation_data is None else self._rows(validation_data),
            sample_weight=weight,
            verbose=verbose,
            callbacks=list(callbacks),
        )

    def _rows(self, df: Any) -> dict[str, Any]:
        encoded = self._encode(df)
        if encoded.observed.all():
            return {"value": encoded.values}
        return {"value": encoded.values, "observed": encoded.observed}

    def _encode(self, df: Any) -> Encoded:
        """Encodes a table, or raises ValueError if the network cannot leave unobserved what is missing."""
        encoded = self.schema.encode(df)
        if not encoded.observed.all() and not np.asarray(self.dist.law.allows(encoded.observed)).all():
            lacking = [column.name for column in self.schema.columns if not self._is_complete(encoded, column.name)]
            raise ValueError(
                f"Expected no missing cells, as {type(self.dist).__name__} can leave only the last columns unobserved; some are "
                f"missing in {', '.join(lacking)}. Use network='orderless' or 'transformer', or "
                "missing='value'."
            )
        return encoded

    def _is_complete(self, encoded: Encoded, name: str) -> bool:
        return bool(encoded.observed[:, self.schema.sites(name)].all())

    # Scores ----------------------------------------------------------------------------------------------------------

    def log_prob(self, df: Any) -> Any:
        """Returns the log-density of each row in nats, a Series of float64; of the observed cells if some are missing.

        It is in the units of the data; `base_measure` says what it is a density of.

        Raises:
            ValueError: If the table does not fit the schema, or the network cannot leave unobserved what is missing.
        """
        encoded = self._encode(df)
        if encoded.observed.all():
            score = in_chunks(self.dist.log_prob, encoded.values)
        else:
            score = in_chunks(lambda x, observed: self.dist.log_prob(x, observed=observed), *encoded[:2])
        log_prob = score.astype(np.float64) - encoded.log_scale.sum(axis=1)
        return require("pandas", "tables").Series(log_prob, index=df.index, name="log_prob")

    def score(self, df: Any) -> float:
        """Returns the mean of `log_prob` over the rows."""
        return float(self.log_prob(df).mean())

    def explain(self, df: Any, given: str = "before") -> Any:
        """Returns the surprise of each cell, its negative log-density in nats, as a DataFrame.

        Args:
            df: DataFrame.
            given: "before": given the columns before it; a row sums to minus its `log_prob`. "others": given all other columns,
                which is independent of an order and needs a network for any order.

        Returns:
            DataFrame of the shape of `df`, NaN where a cell is not observed.

        Raises:
            ValueError: As `log_prob` does, or if the network has one order and `given` is "others".
        """
        encoded = self._encode(df)
        found = conditionals.surprises(self.dist, self.schema, encoded, given)
        return require("pandas", "tables").DataFrame(found, columns=self.schema.names, index=df.index)

    def conditionals(self, df: Any, columns: Iterable[str] | None = None) -> dict[str, Any]:
        """Returns the conditional of columns for each row: given its other observed cells, or for "made" those before.

        Args:
            df: DataFrame. The cells of the columns themselves are ignored.
            columns: names. Default: all but constants.

        Returns:
            A DataFrame for each column. For classes it has a column of probabilities for each category, and last one named None,
            of unseen and missing cells. For numbers and times it has `mean`, `stddev`, `quantile_0.05` and others in the
            units of the data, given that the cell is not missing, and `missing`, its probability, if that is a value. Of times
            of whole seconds it describes the day.

        Raises:
            ValueError: If a column is not one of the schema or constant, or the network cannot leave unobserved what is missing.
        """
        encoded = self.schema.encode(df)
        chosen = [self.schema[name] for name in self.schema.names if self.schema[name].num_sites]
        if columns is not None:
            chosen = [self.schema[name] for name in columns]
        constant = [column.name for column in chosen if not column.num_sites]
        if constant:
            raise ValueError(f"Expected columns of more than one value; {', '.join(constant)} has one.")
        made = {column.name: conditionals.conditional(self.dist, self.schema, encoded, column) for column in chosen}
        return {name: frame.set_axis(df.index, axis=0) for name, frame in made.items()}

    def prob(self, where: Mapping[str, Any], num_samples: int = 1000, seed: Any = None) -> Estimate:
        """Returns the probability that a row meets conditions on some columns.

        The estimate draws these columns one after the other, restricted to what is allowed, and averages the products of the
        probabilities of what is allowed (progressive sampling). It is unbiased. It is exact, and the standard error 0, if the
        combinations of values before the last column are at most `num_samples`: a single column with a network for any
        order, for example. A network of one order also draws the columns before the last one with a condition.

        Args:
            where: conditions by column, all of which must hold. Of classes: a value or a list of values. Of numbers, times and
                ordinal classes: a value, or a range `(lower, upper)` with both ends, of which one may be None. None, or None in a
                list: a missing cell, if that is a value.
            num_samples: int of at least 2.
            seed: seed as accepted by `tfar.random.as_seed`.

        Returns:
            `Estimate(value, standard_error)`.

        Raises:
            ValueError: If a column is not one of the schema, a condition does not fit its column, or `num_samples` is below 2.

        Example:
            >>> import pandas as pd
            >>> df = pd.DataFrame({"age": [31, 44, 65, 58], "sex": ["F", "M", "F", "F"]})
            >>> model = tfar.TableModel(tfar.tables.Schema.infer(df), "orderless", hidden_units=[8])
            >>> model.prob({"sex": ["F", "M"], "age": (30, 40)}, seed=1).value < 1.0
            True
        """
        count = check_positive_int("num_samples", num_samples, lowest=2)
        return queries.probability(self.dist, self.schema, where, count, seed)

    # Draws -----------------------------------------------------------------------------------------------------------

    def sample(self, num_samples: int, seed: Any = None) -> Any:
        """Draws rows, a DataFrame in the units and dtypes of the data.

        Missing cells that are a value are NaN. The class of unseen categories is not drawn: a row with one is drawn again.
        """
        count = check_positive_int("num_samples", num_samples)
        return self.schema.decode(draws.sampled(self.dist, self.schema, count, seed))

    def complete(self, df: Any, num_samples: int | None = None, seed: Any = None) -> Any:
        """Draws the missing cells of each row given its other cells; those that are there stay as they are.

        The class of unseen categories is not drawn. With missing="value", a missing cell is a value, and stays.

        Args:
            df: DataFrame.
            num_samples: None for one completion, or the number of completions.
            seed: seed as accepted by `tfar.random.as_seed`.

        Returns:
            A DataFrame like `df`; with `num_samples`, of all completions one after the other, with the number of the completion
            as first level `draw` of its index.

        Raises:
            ValueError: If the table does not fit the schema, or the network cannot leave unobserved what is missing.
        """
        pandas, encoded = require("pandas", "tables"), self._encode(df)
        count = 1 if num_samples is None else check_positive_int("num_samples", num_samples)
        drawn = draws.completed(self.dist, self.schema, encoded, count, seed)
        frames = [draws.filled(df, self.schema, encoded, values) for values in drawn]
        return frames[0] if num_samples is None else pandas.concat(frames, keys=range(count), names=["draw"])

    # Files -----------------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Saves weights, schema and optimizer as a `.keras` file. `tfar.load` reads its distribution of encoded rows."""
        self.model.save(path)

    def export(self, base_path: str | os.PathLike[str], version: int | None = None) -> Path:
        """Writes the SavedModel `base_path/<version>/`, which TF Serving can serve, with an input `[B]` for each column.

        The inputs have the names of the columns, with underscores for other characters than letters and digits. Categories are
        strings, booleans or float64, as in the data; numbers are float64; times are seconds since 1970-01-01 UTC as
        float64. A missing cell is an empty string or NaN. Constant columns are no inputs. The signatures:

            serving_default, log_prob   columns -> log_prob float64 [B]
            explain                     columns -> surprise float64 [B, columns]

        A row with a cell that does not fit its column gives NaN, and does not affect other rows. The file
        `assets.extra/tfar.json` describes the inputs and holds the schema.

        Args:
            base_path: folder of all versions.
            version: int. Default: one more than the highest version in the folder, or 1.

        Returns:
            The path of the version.

        Raises:
            ValueError: If names of columns differ in other characters alone, or a path or number is not valid.
            FileExistsError: If the version exists.
            ExportError: If the export differs from the model.
        """
        return export_table(self, base_path, version)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "TableModel":
        """Reads a file that `save` wrote.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is not a file of a TableModel.
        """
        model = load_model(path)
        if not isinstance(model, TableDensityModel):
            raise ValueError(
                f"Expected {os.fspath(path)} to hold a TableModel; it holds the model of a distribution alone."
            )
        made = object.__new__(cls)
        made._set(model)
        return made


def _checked(dist: Any, schema: Schema) -> Any:
    shape = getattr(dist, "event_shape", None)
    heads = len(getattr(getattr(dist, "head", None), "heads", ()))
    if shape is None or tuple(shape) != (schema.num_sites,) or heads != schema.num_sites:
        raise ValueError(
            f"Expected a distribution over [{schema.num_sites}] with the head `schema.head(...)`; received "
            f"{type(dist).__name__} over {None if shape is None else list(shape)} with {heads} heads."
        )
    return dist
