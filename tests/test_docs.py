"""The code and the links of README, CONTRIBUTING and the pages of the documentation site."""

import importlib.util
import inspect
import pathlib
import re

import keras
import numpy as np
import pytest

import tfar
from benchmarks import overview
from tests.shards import is_of_today
from tests.test_doctests import OPTIONAL

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.md") if "_build" not in path.parts)


def code_of(name: str, language: str = "python") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)


def scripts(name: str) -> dict[str, str]:
    """The blocks that the reader saves as files, as their first lines, such as `# worker.py`, say."""
    named = {re.match(r"# (\w+\.py)\n", code): code for code in code_of(name)}
    return {match[1]: code for match, code in named.items() if match}


def blocks(name: str) -> list[str]:
    return [code for code in code_of(name) if code not in scripts(name).values()]


def run_page(name: str) -> dict:
    """Runs the Python blocks of a page one after the other and returns their names."""
    names: dict = {"__name__": "__main__"}
    policy = keras.config.dtype_policy()
    try:
        for number, code in enumerate(blocks(name)):
            exec(compile(code, f"{name}, block {number}", "exec"), names)
    finally:
        keras.config.set_dtype_policy(policy)
    return names


# What a page promises beyond that its code runs.
def check_readme(names, folder):
    (ten_lines,) = blocks("README.md")
    assert len([line for line in ten_lines.splitlines() if line.strip()]) == 10
    assert names["samples"].shape == (16, 8, 8)
    assert (folder / "exported" / "made" / "1" / "saved_model.pb").exists()
    assert (folder / "made.tflite").stat().st_size > 0


def check_quick_start(names, folder):
    assert names["samples"].shape == (16, 8, 8)
    assert (names["completed"].numpy()[:, :4] == names["x"][:, :4]).all()
    assert (folder / "samples_of_made.png").exists()
    assert (folder / "exported" / "made" / "1" / "saved_model.pb").exists()


def check_from_tfp_pixel_cnn(names, folder):
    assert names["samples"].shape == (4, 8, 8, 1)
    assert names["of_classes"].shape == (2, 3, 8, 8, 1)
    assert not names["dist"].network.awaits_data
    assert (folder / "digits.keras").exists()


def check_pixel_models(names, folder):
    assert names["seen"].shape == (28, 28)
    assert (folder / "field.png").exists()
    assert names["dist"].network.compute_dtype == "bfloat16"
    assert int(names["model"].optimizer.iterations) == 1


CHECKS = {
    "README.md": check_readme,
    "docs/quick_start.md": check_quick_start,
    "docs/howto/from_tfp_pixel_cnn.md": check_from_tfp_pixel_cnn,
    "docs/pixel_models.md": check_pixel_models,
}


def test_contributing_shows_a_network_of_ones_own(tmp_path, monkeypatch, capsys):
    (code,) = blocks("CONTRIBUTING.md")
    assert len([line for line in code.splitlines() if line.strip()]) <= 15
    monkeypatch.chdir(tmp_path)
    run_page("CONTRIBUTING.md")
    assert "(3,)" in capsys.readouterr().out


def pages_with_code() -> list:
    """README and all pages with code. Those for newcomers run before every change lands; of the others a sixteenth does."""
    names = [name for name in ["README.md", *PAGES] if blocks(name)]
    often = ("README.md", "docs/quick_start.md", "docs/concepts.md")
    return [
        pytest.param(name, marks=pytest.mark.slow(ci=name in often or is_of_today(number)))
        for number, name in enumerate(names)
    ]


@pytest.mark.parametrize("page", pages_with_code())
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run_page(page)
    if page in CHECKS:
        CHECKS[page](names, tmp_path)


# Links ---------------------------------------------------------------------------------------------------------------


def missing_targets(text: str) -> list[str]:
    """Returns the links into the site and the repository that lead to no file."""
    urls = overview.project_urls()
    documentation, source = urls["Documentation"], urls["Source"]
    raw = source.replace("https://github.com", "https://raw.githubusercontent.com")
    missing = []
    for link in re.findall(r"\((https?://[^)\s]+)\)", text):
        if link.startswith(documentation):
            path = DOCS / link.removeprefix(documentation + "/").partition("#")[0].replace(".html", ".md")
        elif link.startswith((f"{source}/blob/main/", f"{raw}/main/")):
            path = ROOT / link.partition("/main/")[2]
        else:
            continue
        if not path.is_file():
            missing.append(link)
    return missing


@pytest.mark.parametrize("name", ["README.md", "docs/llms.txt"])
def test_links_lead_to_pages(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert missing_targets(text) == []
    # The package index shows the README without the files beside it.
    assert re.findall(r"\]\((?!https://)[^)]*\)", text) == []


def test_a_link_to_no_page_is_found():
    link = f"{overview.project_urls()['Documentation']}/gone.html"
    assert missing_targets(f"[gone]({link}), [elsewhere](https://example.com/gone.html)") == [link]


def test_every_page_is_in_the_map_for_language_models():
    text = (DOCS / "llms.txt").read_text(encoding="utf-8")
    # The pages of these folders are listed by their indexes, and an orphan is a page outside of all lists.
    listed = [page for page in PAGES if not page.startswith(("docs/reference/", "docs/howto/", "docs/index.md"))]
    pages = [page for page in listed if "orphan: true" not in (ROOT / page).read_text(encoding="utf-8")]
    links = [page.removeprefix("docs").removesuffix(".md") + ".html" for page in pages]
    assert [link for link in links if link not in text] == []


def test_every_distribution_has_a_page():
    titles = "".join((ROOT / page).read_text(encoding="utf-8").splitlines()[0] for page in PAGES if "/models/" in page)
    assert [name for name in tfar.distributions.__all__ if name not in titles] == []
    assert {model.name for model in overview.MODELS} <= set(tfar.distributions.__all__)


# What the page about the choice of a model says ------------------------------------------------------------------------

MADE_OF_ANY_ORDER = 'MADE, `order="random", num_masks=None`'
EXAMPLES = {
    "MADE": lambda: tfar.MADE([4], [8]),
    MADE_OF_ANY_ORDER: lambda: tfar.MADE([4], [8], order="random", num_masks=None),
    "NADE": lambda: tfar.NADE([4], 8),
    "RNADE": lambda: tfar.RNADE([4], 8),
    "OrderlessNADE": lambda: tfar.OrderlessNADE([4], [8]),
    "AnyOrderTransformer": lambda: tfar.AnyOrderTransformer([4], 8, num_layers=1),
    "CFNADE": lambda: tfar.CFNADE(4, 8),
    "ImplicitCFNADE": lambda: tfar.ImplicitCFNADE(4, 8),
    "ConvNADE": lambda: tfar.ConvNADE([2, 2], filters=[4], kernel_sizes=[2], hidden_units=[4]),
    "PixelCNN": lambda: tfar.PixelCNN([2, 2], 4, num_blocks=1, first_kernel_size=3),
    "GatedPixelCNN": lambda: tfar.GatedPixelCNN([2, 2], 4, num_blocks=1, first_kernel_size=3),
    "PixelCNNPlusPlus": lambda: tfar.PixelCNNPlusPlus([2, 2, 1], 4, num_blocks=1, num_levels=1),
    "MultiscalePixelCNN": lambda: tfar.MultiscalePixelCNN([2, 2], 4, base_size=1, num_blocks=1),
    "WaveNet": lambda: tfar.WaveNet([4], 4, skip_filters=4, num_layers=2, num_stacks=1, head=tfar.heads.Categorical(4)),
    "RowLSTM": lambda: tfar.RowLSTM([2, 2], 2, first_kernel_size=3),
    "DiagonalBiLSTM": lambda: tfar.DiagonalBiLSTM([2, 2], 2, first_kernel_size=3),
    "DocNADE": lambda: tfar.DocNADE(4, 4, max_length=4, jit_compile=False),
    "DocNADELanguageModel": lambda: tfar.DocNADELanguageModel(4, 4, max_length=4, jit_compile=False),
    "RecurrentLanguageModel": lambda: tfar.RecurrentLanguageModel(4, 4, 4, embedding_dim=3, jit_compile=False),
    "SpatialLSTM": lambda: tfar.SpatialLSTM([2, 2], 2, num_layers=1),
    "VideoPixelNetwork": lambda: tfar.VideoPixelNetwork(
        [2, 2, 2], 2, num_encoder_blocks=1, num_decoder_blocks=1, first_kernel_size=3
    ),
    "Factorized": lambda: tfar.Factorized([4]),
}


def abilities() -> dict[str, list[str]]:
    text = (DOCS / "choose.md").read_text(encoding="utf-8").partition("## What each model can do")[2]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:1] == "|"]
    return {row[0].strip("| "): row[1:] for row in rows[2:]}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_table_of_abilities_is_true(name):
    _, order, patterns, condition, _ = abilities()[name]
    dist = EXAMPLES[name]()
    # No model of one order starts with its last site alone.
    x, observed = np.ones([1, *dist.event_shape]), np.arange(dist.num_sites) == dist.num_sites - 1
    allowed = bool(dist.valid_rows(x, observed=observed.reshape(x.shape)))
    assert (patterns == "any pattern") == allowed
    assert (order == "any") == dist.network.any_order
    assert condition.startswith("yes") == ("conditional_shape" in inspect.signature(type(dist).__init__).parameters)


def test_the_table_of_abilities_names_every_distribution():
    assert {name.partition(",")[0] for name in abilities()} == set(tfar.distributions.__all__)


# Docstrings and pictures -----------------------------------------------------------------------------------------------


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_docstrings_become_restructured_text():
    docstrings = load("docstrings")
    docstrings.NAMES["tfar.MADE"] = "tfar.MADE"
    lines = [
        "Sums `x * y` and |z|_ of `tfar.MADE`.",
        "",
        "    h_l = W * x",
        "",
        "| name | shape |",
        "|---|---|",
        "| a | `[B]` |",
        "Args:",
        "    first, second,",
        "    third: see `other`.",
    ]
    docstrings.process_docstring(None, "class", "tfar.NADE", None, None, lines)
    assert lines == [
        r"Sums ``x * y`` and \|z\|_ of :py:obj:`tfar.MADE <tfar.MADE>`.",
        "",
        "::",
        "",
        "    h_l = W * x",
        "",
        ".. list-table::",
        "   :header-rows: 1",
        "",
        "   * - name",
        "     - shape",
        "   * - a",
        "     - ``[B]``",
        "Args:",
        "    first, second, third: see ``other``.",
    ]


def public_modules() -> set[str]:
    modules = {name for name in tfar.__all__ if inspect.ismodule(getattr(tfar, name))}
    return modules | {name.removeprefix("tfar.") for name in OPTIONAL}


def test_the_reference_knows_every_public_module():
    assert set(load("docstrings").MODULES) == public_modules()


def test_a_public_object_without_an_entry_in_the_reference_is_found(monkeypatch):
    docstrings = load("docstrings")
    documented = {f"tfar.{name}" for name in (*tfar.__all__, *docstrings.MODULES)}
    monkeypatch.setattr(
        docstrings, "NAMES", {"NADE": "tfar.NADE", "draw": "tfar.data.draw", "tfar.data.draw": "tfar.data.draw"}
    )
    assert docstrings.undocumented(documented) == ["tfar.data.draw"]
    assert docstrings.undocumented(documented - {"tfar.load", "tfar.masks"}) == [
        "tfar.data.draw",
        "tfar.load",
        "tfar.masks",
    ]


def test_equations_become_mathml():
    pytest.importorskip("math_core", reason="math-core renders the equations of the site; it is in tfar[docs]")
    mathml = load("mathml")
    assert mathml.to_mathml(r"\frac{a}{b}", block=True).startswith('<math display="block">')
    assert "<mfrac><mi>a</mi><mi>b</mi></mfrac>" in mathml.to_mathml(r"\frac{a}{b}", block=False)
    with pytest.raises(mathml.math_core.LatexError):
        mathml.to_mathml(r"\no_command", block=True)


def test_what_a_page_loads_from_elsewhere_is_found():
    pytest.importorskip("sphinx", reason="Sphinx builds the site; it is in tfar[docs]")
    script = '<script async="async" src="https://cdn.example.com/mathjax.js"></script>'
    own = '<link rel="canonical" href="https://tfar.example.com/"/><img src="made.png"/><a href="https://example.com">'
    assert load("self_contained").loaded_from_elsewhere(script + own) == ["https://cdn.example.com/mathjax.js"]


@pytest.mark.slow(ci=True)
def test_the_pictures_are_those_that_the_script_draws(tmp_path):
    load("figures").main(tmp_path)
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == {path.name for path in (DOCS / "figures").iterdir()}
    text = "".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
    assert [name for name in sorted(drawn) if f"figures/{name}" not in text] == []
