"""Writes the tables of README and docs from the result files: `python -m benchmarks.tables [--write | --check]`.

The place of a table is between `<!-- table:NAME -->` and `<!-- /table -->`, where NAME is a key of `HEADINGS`. `--write` writes
the tables to the pages. `--check` fails with a diff if a page differs. Without options the tables are printed.
"""

from __future__ import annotations

import argparse
import difflib
import pathlib
import re
import sys
from collections.abc import Callable, Sequence

from benchmarks import (
    audio_table,
    classifiers,
    coding,
    data,
    known_networks,
    machine,
    overview,
    ranking,
    ratings,
    ratings_table,
    render,
    results,
    sentences,
    table_imputation,
    table_likelihood,
    table_outliers,
    texts_table,
)
from benchmarks.cases import LikelihoodCase, load_cases, model_names
from benchmarks.imputation import CASE as IMPUTATION_CASE
from benchmarks.serving import CASE as SERVING_CASE
from benchmarks.step_memory import CASES as STEP_CASES

README = machine.ROOT / "README.md"
DOCS = machine.ROOT / "docs"
PAGES = tuple(path for path in sorted(DOCS.rglob("*.md")) if "_build" not in path.parts)
# Subfolder with the results of a processor that has AVX2 but no wider vector instructions.
AVX2 = "avx2"
# The heading below which each table stands.
HEADINGS = {
    "models": "## Models",
    "choice": "## Likelihood of each model",
    "costs": "## Cost of each model",
    "likelihood": "## All results",
    "bounds": "## Bounds",
    "bounds-of-pixel-vae": "## Bounds of PixelVAE",
    "orders": "## More orders",
    "epochs": "## More epochs",
    "codecs": "## Beside codecs",
    "audio": "## Audio models",
    "texts": "## Texts",
    "documents": "## Topic models",
    "imputation": "## Missing values",
    "networks": "## Known networks",
    "table-likelihood": "## Real tables",
    "table-imputation": "## Imputation of real tables",
    "table-outliers": "## Outliers in real tables",
    "ratings": "## Ratings",
    "ranking": "## Recommendations",
    "classifiers": "## Classifiers",
    "speed": "## All results",
    "speed-on-avx2": "## On AVX2",
    "memory": "## Memory",
    "memory-of-images": "## Memory of a training step",
    "serving": "## Serving",
    "coding": "## Sizes beside other coders",
    **{f"likelihood-of-{model.slug}": "## Likelihood" for model in overview.MODELS},
    **{f"speed-of-{model.slug}": "## Cost" for model in overview.MODELS if model.speed},
}
OPENING = re.compile(r"<!-- table:(.*?) -->")
BLOCK = re.compile(r"(<!-- table:([\w-]+) -->\n).*?(<!-- /table -->)", re.DOTALL)


def tables(folder: pathlib.Path = results.FOLDER) -> dict[str, str]:
    """Returns all tables by name."""
    models = [load_cases(model) for model in model_names()]
    speed = [case for model in models for case in model.speed if not case.quick]
    on_avx2 = [case for case in speed if results.find("speed", case.name, folder / AVX2)]
    memory = [results.find("memory", case.name, folder) for case in STEP_CASES]
    images = [(case, found) for case, found in zip(STEP_CASES, memory, strict=True) if case.numbers is not None]
    return {
        "models": overview.models_table(folder),
        "choice": overview.choice_table(folder),
        "costs": overview.costs_table(folder),
        **overview.tables_of_models(folder),
        **_tables_of_likelihood([case for model in models for case in model.likelihood], folder),
        "ranking": ratings_table.ranking_table(results.find("ranking", ranking.CASE, folder)),
        "classifiers": classifiers.table(results.find("classifiers", classifiers.CASE, folder)),
        "imputation": render.imputation_table(results.find("imputation", IMPUTATION_CASE, folder)),
        "networks": render.networks_table(
            [results.find("networks", case.name, folder) for case in known_networks.CASES]
        ),
        **{
            module.KIND.replace("_", "-"): module.table(
                module.CASES, [results.find(module.KIND, case.name, folder) for case in module.CASES]
            )
            for module in (table_likelihood, table_imputation, table_outliers)
        },
        "speed": render.speed_table(speed, [results.find("speed", case.name, folder) for case in speed]),
        "speed-on-avx2": render.speed_table(
            on_avx2, [results.find("speed", case.name, folder / AVX2) for case in on_avx2]
        ),
        "memory": render.memory_table(STEP_CASES, memory),
        "memory-of-images": render.memory_table(*zip(*images, strict=True)),
        "coding": coding.table(coding.CASES, [results.find("coding", case.name, folder) for case in coding.CASES]),
        "serving": render.serving_table(results.find("serving", SERVING_CASE, folder)),
    }


def _tables_of_likelihood(likelihood: Sequence[LikelihoodCase], folder: pathlib.Path) -> dict[str, str]:
    """Returns the tables of likelihood cases by name."""
    return {
        "likelihood": _of_likelihood(render.likelihood_table, likelihood, folder),
        "bounds": _of_likelihood(render.bounds_table, list(load_cases("darn").likelihood), folder),
        "bounds-of-pixel-vae": _of_likelihood(render.bounds_table, list(load_cases("pixel_vae").likelihood), folder),
        "orders": _of_likelihood(
            render.orders_table, [c for c in likelihood if len(c.settings.test_orders) > 1], folder
        ),
        "epochs": _of_likelihood(
            render.epochs_table, [c for c in likelihood if c.event_shape and not c.paper_width], folder
        ),
        "codecs": _of_likelihood(
            render.codecs_table, [case for case in likelihood if case.beside and case.data != ratings.DATA], folder
        ),
        "audio": _of_likelihood(
            audio_table.audio_table, [case for case in likelihood if case.data in data.SPEECH], folder
        ),
        "texts": _of_likelihood(
            texts_table.texts_table, [case for case in likelihood if case.data in sentences.FILES], folder
        ),
        "documents": _of_likelihood(texts_table.documents_table, list(load_cases("doc_nade").likelihood), folder),
        "ratings": _of_likelihood(
            ratings_table.ratings_table, [case for case in likelihood if case.data == ratings.DATA], folder
        ),
    }


def _of_likelihood(table: Callable[..., str], cases: Sequence[LikelihoodCase], folder: pathlib.Path) -> str:
    """Renders a table of likelihood cases and their results."""
    return table(cases, [results.find("likelihood", case.name, folder) for case in cases])


def fill(text: str, rendered: dict[str, str]) -> str:
    """Returns the text with the tables between their markers.

    Raises:
        ValueError: If a marker names an unknown table or is not closed, or if the marker below a heading is missing.
    """
    check_markers(text, rendered)
    return BLOCK.sub(lambda match: f"{match[1]}{rendered[match[2]]}\n{match[3]}", text)


def check_markers(text: str, rendered: dict[str, str]) -> None:
    """Checks the markers; see `fill`."""
    opened, closed = OPENING.findall(text), [match[2] for match in BLOCK.finditer(text)]
    unknown = sorted(set(opened) - set(rendered))
    if unknown:
        raise ValueError(f"Expected tables out of {sorted(rendered)}. Received the markers: {unknown}")
    if opened != closed or len(opened) != text.count("<!-- /table -->") or len(set(opened)) != len(opened):
        raise ValueError(f"Expected each of {opened} once, with its own <!-- /table -->.")
    for name in rendered:
        heading = HEADINGS[name]
        possible = [other for other in rendered if HEADINGS[other] == heading]
        if re.search(rf"^{heading}$", text, re.MULTILINE) and not set(possible) & set(opened):
            raise ValueError(
                f"Expected <!-- table:{name} --> or another of {possible} below the heading {heading!r}. Received none."
            )


def check(page: pathlib.Path = README, folder: pathlib.Path = results.FOLDER) -> str:
    """Returns the diff between a page and the result files, which is empty if there is none."""
    lines = (page.read_text().splitlines(keepends=True), _filled(page, folder).splitlines(keepends=True))
    return "".join(difflib.unified_diff(*lines, page.name, f"{page.name} from the results"))


def write(page: pathlib.Path = README, folder: pathlib.Path = results.FOLDER) -> None:
    """Writes the tables to a page."""
    page.write_text(_filled(page, folder))


def _filled(page: pathlib.Path, folder: pathlib.Path) -> str:
    try:
        return fill(page.read_text(), tables(folder))
    except ValueError as error:
        raise ValueError(f"{page.name}: {error}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints, writes or checks the tables."""
    parser = argparse.ArgumentParser("python -m benchmarks.tables", description=__doc__)
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--write", action="store_true", help="put the tables into the pages")
    action.add_argument("--check", action="store_true", help="exit with 1 if a page differs from the results")
    options = parser.parse_args(arguments)
    run: Callable[[], int] = _write if options.write else _check if options.check else _print
    try:
        return run()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1


def _print() -> int:
    for name, table in tables().items():
        print(f"{HEADINGS[name]}\n\n{table}\n")
    return 0


def _write() -> int:
    for page in (README, *PAGES):
        write(page)
    return 0


def _check() -> int:
    difference = "".join(check(page) for page in (README, *PAGES))
    print(difference or "The tables of README and docs agree with the result files.")
    return 1 if difference else 0


if __name__ == "__main__":
    raise SystemExit(main())
