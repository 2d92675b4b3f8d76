"""Renders results as Markdown, for the output of the commands and for README and docs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.cases import LikelihoodCase, SpeedCase
from benchmarks.results import ALL_ROWS, Result

if TYPE_CHECKING:
    from benchmarks.step_memory import StepCase

NOT_RUN = "not run"
SPEED_HEADER = (
    "",
    "log_prob, ms",
    "train step, ms",
    "sample, ms",
    "sample / log_prob",
    "TFP's sample / sample",
    "first log_prob, train step, sample, s",
)
LIKELIHOOD_HEADER = ("data", "model", "measured, nats", "published, nats", "target", "")
SERVING_HEADER = (
    "operation, batch",
    "C++ runtime, ms",
    "LiteRT, ms",
    "live, ms",
    "C++, rows/s",
    "LiteRT, rows/s",
    "live, rows/s",
)
ROUNDING_HEADER = ("weights of the TFLite file", "MiB", "mean difference of log_prob, nats", "largest, nats")
EPOCHS_HEADER = ("model", "validation nats after epochs", "test nats", "minutes", "batch")
BOUNDS_HEADER = (
    "data",
    "model",
    "gradient estimator",
    "-elbo, nats",
    "importance bound, nats",
    "KL, nats a latent",
    "active latents",
    "linear probe",
    "minutes",
    "targets",
)
NETWORKS_HEADER = (
    "network",
    "model",
    "divergence, nats a row",
    "completions: nats",
    "total variation",
    "queries: median q-error",
    "95 %",
    "99 %",
    "largest",
)
IMPUTATION_HEADER = ("imputer", "log loss, nats a missing bit", "accuracy")
MEMORY_HEADER = (
    "model",
    "batch",
    "step",
    "peak, MiB",
    "before the step, MiB",
    "an event more, KiB",
    "XLA's buffers, MiB",
    "an event more, KiB",
    "by the formula, KiB",
)
TFP = "TFP"
BUSY = 0.03


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Returns a table. The first `left` columns are aligned to the left, the others to the right."""
    lines = [header, [":--"] * left + ["--:"] * (len(header) - left), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def speed_table(cases: Sequence[SpeedCase], found: Sequence[Result | None]) -> str:
    """Returns the tables of all speed cases. A case without a result is marked "not run"."""
    blocks = []
    for case, result in zip(cases, found, strict=True):
        title = f"**{case.name}**, batch {case.settings['batch_size']}"
        if result is None:
            blocks.append(f"{title}: {NOT_RUN} (`python -m benchmarks.speed` writes it)")
            continue
        blocks.append(f"{title}\n\n{markdown_table(SPEED_HEADER, speed_rows(result))}\n\n{_conditions(result)}")
    return "\n\n".join(blocks)


def speed_rows(result: Result) -> list[list[str]]:
    """Returns a row for each contestant, and one for each additional sampling method."""
    contestants = result.figures["contestants"]
    reference = _median(contestants.get(TFP, {}), "sample")
    rows = []
    for name, figures in contestants.items():
        for sampler in [op for op in figures["operations"] if op.startswith("sample")] or ["sample"]:
            rows.append(_speed_row(name, figures, sampler, reference))
    rows += [[name, *["skipped: " + reason], *[""] * 5] for name, reason in result.figures["skipped"].items()]
    return rows


def _speed_row(name: str, figures: dict[str, Any], sampler: str, reference: float | None) -> list[str]:
    log_prob, sample = _median(figures, "log_prob"), _median(figures, sampler)
    plain = sampler == "sample"
    label = name if plain else f"{name}: {sampler.split(', ', 1)[1]}"
    return [
        label,
        milliseconds(log_prob if plain else None),
        milliseconds(_median(figures, "train_step") if plain else None),
        milliseconds(sample),
        ratio(sample, log_prob),
        ratio(reference, sample),
        _first_calls(figures, ("log_prob", "train_step", sampler) if plain else (sampler,)),
    ]


def _first_calls(figures: dict[str, Any], operations: Sequence[str]) -> str:
    """Returns the seconds of the first call of each operation, which include tracing and compilation."""
    found = [figures["operations"].get(operation) for operation in operations]
    return ", ".join("-" if values is None else f"{values['first_s']:.3g}" for values in found)


def speed_report(result: Result) -> str:
    """Returns the output of `benchmarks.speed` for a case: the table, first calls and memory, modes, and targets."""
    rows = []
    for name, figures in result.figures["contestants"].items():
        memory = figures.get("memory")
        peak = "" if memory is None else f"{memory['peak_mib']} ({memory['imports_mib']})"
        for operation, values in figures["operations"].items():
            rows.append([name, operation, values["mode"], f"{values['first_s']:.2f}", str(values["count"]), peak])
    details = markdown_table(("", "operation", "mode", "first call, s", "calls", "peak memory (imports), MiB"), rows)
    blocks = [f"## {result.case}", markdown_table(SPEED_HEADER, speed_rows(result)), details]
    load = result.figures["other_load"]
    if load is not None and load > BUSY:
        blocks.append(f"NOT QUIET: other processes took {load:.0%} of the processors. Measure again.")
    return "\n\n".join([*blocks, *([targets_table(result)] if result.targets else []), ""])


def targets_table(result: Result) -> str:
    """Returns a table of the targets and the measured numbers."""
    verdict = {True: "pass", False: "FAIL", None: "not measured"}
    rows = []
    for target in result.targets:
        value = "" if target["value"] is None else f"{target['value']:.3g}"
        rows.append([target["name"], f"{target['relation']} {target['limit']:g}", value, verdict[target["met"]]])
    return markdown_table(("target", "limit", "measured", ""), rows)


def serving_table(result: Result | None) -> str:
    """Returns the latency and throughput of exports and of the distribution, and the effect of rounded weights."""
    if result is None:
        return f"{NOT_RUN} (`python -m benchmarks.serving` writes it)"
    runtimes = list(result.figures["runtimes"].values())
    rows = []
    for operation in runtimes[0]:
        for batch in runtimes[0][operation]:
            found = [runtime[operation][batch] for runtime in runtimes]
            times = [milliseconds(f["median_ms"]) for f in found]
            rows.append([f"{operation}, {batch}", *times, *[f"{f['rows_per_s']:,}" for f in found]])
    rounding = dict(result.figures["rounding"])
    blocks = [markdown_table(SERVING_HEADER, rows), _conditions(result)]
    if rounding:
        blocks.insert(1, f"Rounded weights, on {rounding.pop('data')}:\n\n{_rounding_table(rounding)}")
    return "\n\n".join(blocks)


def _rounding_table(rounding: dict[str, Any]) -> str:
    rows = [
        [name, f"{f['mib']:.1f}", f"{f['mean_absolute_nats']:.2g}", f"{f['largest_nats']:.2g}"]
        for name, f in rounding.items()
    ]
    return markdown_table(ROUNDING_HEADER, rows)


def serving_report(result: Result) -> str:
    """Returns the output of `benchmarks.serving`."""
    load = result.figures["other_load"]
    noise = [] if load is None or load <= BUSY else [f"NOT QUIET: other processes took {load:.0%} of the processors."]
    return "\n\n".join([f"## {result.case}", serving_table(result), *noise, ""])


def imputation_table(result: Result | None) -> str:
    """Returns the log loss and the accuracy of imputed bits, for tfar and scikit-learn."""
    if result is None:
        return f"{NOT_RUN} (`python -m benchmarks.imputation` writes it)"
    rows = [[name, f"{f['log_loss']:.4f}", f"{f['accuracy']:.2%}"] for name, f in result.figures.items()]
    note = f"Adult ({result.data['note']}), {result.data['missing']:.0%} of the bits missing in training and in test; "
    note += f"{result.data['test_rows']:,} test rows; seed {result.seed}."
    return "\n\n".join([markdown_table(IMPUTATION_HEADER, rows), note])


def networks_table(found: Sequence[Result | None]) -> str:
    """Returns the divergence, the completions and the queries of models of Bayesian networks."""
    there = [result for result in found if result is not None]
    if not there:
        return f"{NOT_RUN} (`python -m benchmarks.known_networks` writes it)"
    rows, notes = [], []
    for result in there:
        for name, f in result.figures["models"].items():
            known = f"{f['divergence']:.3f} ± {f['standard_error']:.3f}" if "divergence" in f else ""
            gaps = f.get("completions", {})
            cells = [f"{gaps[key]:.4f}" if gaps else "" for key in ("nats", "total_variation")]
            errors = [f"{f['queries'][key]:.3g}" for key in ("median", "95", "99", "max")]
            rows.append([result.case, name, known, *cells, *errors])
        train, _, test = result.data["rows"]
        notes.append(
            f"{result.case}: {result.data['columns']} columns, {train:,} training and {test:,} test rows, whose entropy under "
            f"the network is {result.figures['entropy']:.3f} nats a row."
        )
    return "\n\n".join([markdown_table(NETWORKS_HEADER, rows), *notes])


def memory_table(cases: Sequence[StepCase], found: Sequence[Result | None]) -> str:
    """Returns the peak memory of train steps, and the memory of one more event. A case without a result is marked."""
    rows, conditions = [], []
    for case, result in zip(cases, found, strict=True):
        if result is None:
            rows.append([case.title, str(case.batch_size), NOT_RUN, *[""] * 6])
            continue
        formula = result.figures["formula_kib"]
        for mode, figures in result.figures["modes"].items():
            rows.append(
                [
                    case.title,
                    str(case.batch_size),
                    mode,
                    f"{figures['peak_mib']:,.0f}",
                    f"{figures['built_mib']:,.0f}",
                    f"{figures['row_kib']:,.0f}",
                    *(
                        f"{figures[name]:,.0f}" if name in figures else ""
                        for name in ("assigned_mib", "assigned_row_kib")
                    ),
                    "" if formula is None else f"{formula:,.0f}",
                ]
            )
        conditions.append(_conditions(result))
    return "\n\n".join([markdown_table(MEMORY_HEADER, rows), *dict.fromkeys(conditions)])


def likelihood_table(cases: Sequence[LikelihoodCase], found: Sequence[Result | None]) -> str:
    """Returns the test negative log-likelihoods of tfar and of the papers. A case without a result is marked."""
    rows, notes = [], {}
    for case, result in zip(cases, found, strict=True):
        rows.append(_likelihood_row(case, result))
        if result is not None:
            notes[case.data] = f"{case.data}: {result.data['note']}{_units_and_gaussian(result.figures)}."
    return "\n\n".join([markdown_table(LIKELIHOOD_HEADER, rows, left=2), *notes.values()])


def bounds_table(cases: Sequence[LikelihoodCase], found: Sequence[Result | None]) -> str:
    """Returns both bounds of models with a latent variable, and how much their latents say; other models have one number."""
    rows = []
    for case, result in zip(cases, found, strict=True):
        label = [case.data, case.title, case.settings.gradient_estimator]
        if result is None:
            rows.append([*label, NOT_RUN, *[""] * 6])
            continue
        targets = "; ".join(map(target_text, result.targets[len(result.targets) - len(case.further) :]))
        figures, nll = result.figures, f"{result.figures['test_nll']:.2f} ± {result.figures['standard_error']:.2f}"
        if "test_bound" not in figures:
            rows.append([*label, "", f"{nll} (exact)", "", "", "", f"{figures['train_seconds'] / 60:.1f}", targets])
            continue
        active = f"{figures['active_bits']} of {sum(case.settings.latent_units)}"
        probe = f"{figures['probe_accuracy']:.1%}" if "probe_accuracy" in figures else ""
        numbers = [f"{figures['test_bound']:.2f}", nll, f"{figures['kl_per_bit']:.3f}", active, probe]
        rows.append([*label, *numbers, f"{figures['train_seconds'] / 60:.1f}", targets])
    return markdown_table(BOUNDS_HEADER, rows, left=3)


def orders_table(cases: Sequence[LikelihoodCase], found: Sequence[Result | None]) -> str:
    """Returns test negative log-likelihoods for several numbers of orders, and the published ones."""
    counts = sorted({count for case in cases for count in (*case.settings.test_orders, *(case.paper_by_orders or ()))})
    rows = []
    for case, result in zip(cases, found, strict=True):
        label = f"{case.data}, {case.title.split(',')[0]}"
        if result is None:
            rows.append([label, NOT_RUN, *[""] * (len(counts) - 1)])
        else:
            rows.append([label, *_by_orders(result.figures["test_nll_by_orders"], counts)])
            if ALL_ROWS in result.figures:
                rows.append([f"{label}, all test rows", *_by_orders(result.figures[ALL_ROWS], counts)])
        if case.paper_by_orders is not None:
            published = {str(count): nll for count, nll in case.paper_by_orders.items()}
            rows.append([f"{case.data}, published", *_by_orders(published, counts)])
    return markdown_table(("orders", *map(str, counts)), rows)


def _by_orders(figures: dict[str, float], counts: Sequence[int]) -> list[str]:
    return [f"{figures[str(count)]:.2f}" if str(count) in figures else "" for count in counts]


def epochs_table(cases: Sequence[LikelihoodCase], found: Sequence[Result | None]) -> str:
    """Returns validation negative log-likelihoods during training, and the final test negative log-likelihood."""
    rows = []
    for case, result in zip(cases, found, strict=True):
        if result is None or "curve" not in result.figures:
            rows.append([case.title, NOT_RUN, *[""] * 3])
            continue
        *_, last = result.figures["curve"]
        points = ", ".join(f"{point['epochs']}: {point['valid_nll']:.2f}" for point in result.figures["curve"])
        test = f"{result.figures['test_nll']:.2f}"
        rows.append([case.title, points, test, f"{last['seconds'] / 60:.0f}", str(result.settings["batch_size"])])
    return markdown_table(EPOCHS_HEADER, rows)


def codecs_table(cases: Sequence[LikelihoodCase], found: Sequence[Result | None]) -> str:
    """Returns the bits per dimension of the test rows, for models and for codecs."""
    blocks = []
    for case, result in zip(cases, found, strict=True):
        beside = {case.title: NOT_RUN}
        if result is not None:
            beside = {case.title: result.figures["bits_per_dim"], **result.figures["beside"]}
        rows = [[name, value if isinstance(value, str) else f"{value:.3f}"] for name, value in beside.items()]
        blocks.append(markdown_table((case.data, "bits per dimension"), rows))
    return "\n\n".join(blocks)


def _likelihood_row(case: LikelihoodCase, result: Result | None) -> list[str]:
    unit = "" if case.unit == "nats" else f" {case.unit}"
    paper = "" if case.paper is None else f"{case.paper:.2f}{unit} ({case.source.split(':')[0]})"
    limit = "" if case.target is None else f"{case.relation} {case.target:.2f}{unit}"
    if result is None:
        return [case.data, case.title, NOT_RUN, paper, limit, ""]
    figures = result.figures
    rows = f" ({figures['test_rows']} rows)" if "test_rows" in figures else ""
    measured = f"{figures[case.figure]:.2f} ± {figures['standard_error']:.2f}{unit}{rows}"
    if len(result.targets) == len(case.further):
        return [case.data, case.title, measured, paper, "", ""]
    target = result.targets[0]
    limit = f"{target['relation']} {target['limit']:.2f}{unit}"
    return [case.data, case.title, measured, paper, limit, "met" if target["met"] else "missed"]


def target_text(target: dict[str, Any]) -> str:
    """Returns a target of a result in words: what was measured, the limit and whether it is met."""
    met = "met" if target["met"] else "missed"
    name = target["name"].replace("_", " ")
    return f"{name} {target['value']:.4g} {target['relation']} {target['limit']:.4g} {met}"


def _units_and_gaussian(figures: dict[str, Any]) -> str:
    """Returns the note of a case of real values: its result in the units of the data, and the Gaussian in both units."""
    if "gaussian" not in figures:
        return ""
    own, gaussian = figures["test_log_likelihood_in_units"], figures["gaussian"]
    return (
        f"; in the units of the file {own:.2f}; a Gaussian of full covariance scores "
        f"{gaussian['test_log_likelihood']:.2f}, in the units of the file {gaussian['test_log_likelihood_in_units']:.2f}"
    )


def milliseconds(value: float | None) -> str:
    """Formats a time with three digits. None is an empty string."""
    return "" if value is None else f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def ratio(numerator: float | None, denominator: float | None) -> str:
    """Formats a ratio, with two digits below ten. None is an empty string."""
    if numerator is None or denominator is None:
        return ""
    quotient = numerator / denominator
    return f"{quotient:.1f}" if quotient < 100 else f"{quotient:.0f}"


def _median(figures: dict[str, Any], operation: str) -> float | None:
    return figures.get("operations", {}).get(operation, {}).get("median_ms")


def _conditions(result: Result) -> str:
    found = result.versions
    return (
        f"{result.machine['cpu']}, {result.settings['threads']} threads, TensorFlow {found['tensorflow']}, "
        f"TFP {found['tensorflow-probability']}, PyTorch {found['torch'] or 'none'}, {result.date}."
    )
