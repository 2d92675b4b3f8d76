"""`tfar query`: the probability that a row of a table meets conditions."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from tfar.cli import table_runs
from tfar.cli.errors import reports_errors
from tfar.cli.options import Seed
from tfar.cli.printing import make_console, shown
from tfar.cli.quiet import load_tensorflow

HELP = """Estimate the probability that a row of a table meets conditions, with a model that `tfar train table` trained.

Each --where is a condition on one column, and all must hold. Beside the probability stands the standard error of its estimate; \
it is 0 if the probability is exact.

[bold]Conditions[/]

NAME == VALUE, NAME in {VALUE, VALUE}, and of numbers, dates and ordered classes NAME in \\[LOWER, UPPER] with both ends, \
NAME >= LOWER, NAME <= UPPER. NAME is missing, if a missing cell is a value.

[bold]Examples[/]

tfar query runs/adult --where "age in \\[30, 40]"

tfar query runs/adult --where "age >= 65" --where "sex == Female" --where "education in {Masters, Doctorate}"
"""

_CONDITION = re.compile(r"\s*(?P<name>.+?)\s*(?P<relation>==|>=|<=|\bin\b|\bis\b)\s*(?P<value>.+?)\s*")
_FORMS = "NAME == VALUE, NAME in {VALUE, ...}, NAME in [LOWER, UPPER], NAME >= LOWER, NAME <= UPPER or NAME is missing"
# Kinds of columns of which a value is one of a list of categories.
_OF_CLASSES = ("categorical", "ordinal")


@reports_errors
def query(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Folder of a run of `tfar train table`, or its .keras file.")
    ],
    where: Annotated[list[str], typer.Option("--where", help="A condition on a column, such as 'age in [30, 40]'.")],
    num_samples: Annotated[int, typer.Option("--num-samples", min=2, help="Number of samples of the estimate.")] = 1000,
    seed: Seed = 0,
) -> None:
    """Estimates the probability of conditions."""
    conditions = [parse(text) for text in where]
    if not model.exists():
        raise FileNotFoundError(f"{model} does not exist: expected a run of `tfar train table` or a .keras file")
    if not table_runs.is_table(model):
        raise ValueError(f"expected a run of `tfar train table` or a .keras file of its model; received {model}")
    load_tensorflow()
    loaded = table_runs.load(model)
    found = loaded.prob(combined(conditions, loaded.schema), num_samples, seed=seed)
    exact = "exact" if found.standard_error == 0.0 else f"standard error {found.standard_error:.2g}"
    make_console().print(f"P({shown(', '.join(where))}) = [bold]{found.value:.6g}[/] ({exact})")


def parse(text: str) -> tuple[str, str, list[str]]:
    """Splits a condition into the name of the column, the relation and the texts of its values.

    Raises:
        ValueError: If it has another form.

    Example:
        >>> parse("age in [30, 40]")
        ('age', 'range', ['30', '40'])
        >>> parse("sex in {F, M}")
        ('sex', 'set', ['F', 'M'])
    """
    found = _CONDITION.fullmatch(text)
    wrong = ValueError(f"--where: expected {_FORMS}; received {text!r}")
    if found is None:
        raise wrong
    name, relation, value = found["name"], found["relation"], found["value"]
    if relation == "is":
        if value != "missing":
            raise wrong
        return name, "missing", []
    if relation == "in":
        inside, ends = [part.strip() for part in value[1:-1].split(",")], value[0] + value[-1]
        if ends == "{}" and all(inside):
            return name, "set", inside
        if ends == "[]" and len(inside) == 2 and all(inside):
            return name, "range", inside
        raise wrong
    return name, {"==": "set", ">=": "from", "<=": "to"}[relation], [value]


def combined(conditions: list[tuple[str, str, list[str]]], schema: Any) -> dict[str, Any]:
    """Returns the conditions as `tfar.TableModel.prob` takes them.

    Raises:
        ValueError: If a column is unknown or has several conditions, or a value is none of the column.
    """
    where: dict[str, Any] = {}
    for name, relation, texts in conditions:
        column = schema[name]
        if name in where:
            raise ValueError(
                f"--where: expected one condition on {name!r}, such as '{name} in [LOWER, UPPER]'; received two"
            )
        values = [_value(column, text) for text in texts]
        where[name] = _condition(column, relation, values)
    return where


def _condition(column: Any, relation: str, values: list[Any]) -> Any:
    if relation == "missing":
        return None
    if relation == "set":
        if column.kind in _OF_CLASSES:
            return values
        if len(values) > 1:
            raise ValueError(
                f"--where: expected a range [LOWER, UPPER] or one value of the {column.kind} column {column.name!r}; "
                f"received {len(values)} values"
            )
        return values[0]
    return {"range": tuple(values), "from": (values[0], None), "to": (None, values[-1])}[relation]


def _value(column: Any, text: str) -> Any:
    """Returns a value of a column from its text: a category, a number, or the text of a date."""
    if column.kind in _OF_CLASSES:
        categories = {str(category): category for category in column.categories}
        if text not in categories:
            raise ValueError(
                f"--where: expected a category of {column.name!r}, one of {', '.join(list(categories)[:20])}; received {text!r}"
            )
        return categories[text]
    if column.kind == "datetime":
        return text
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(
            f"--where: expected a number of the {column.kind} column {column.name!r}; received {text!r}"
        ) from error
