"""The `tfar` application. Each command checks its options before it imports TensorFlow, which takes seconds."""

import sys

import typer

from tfar.cli import complete, compress, demo, evaluate, export, query, sample, score, serve, train

app = typer.Typer(
    name="tfar",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Neural autoregressive density estimation on TensorFlow: train a model, score, sample, complete and export it.",
    epilog="Demonstration: [bold]tfar demo[/]. Options and examples of a command: [bold]tfar train --help[/].",
)

app.command("train", help=train.HELP, no_args_is_help=True)(train.train)
app.command("evaluate", help=evaluate.HELP, no_args_is_help=True)(evaluate.evaluate)
app.command("sample", help=sample.HELP, no_args_is_help=True)(sample.sample)
app.command("complete", help=complete.HELP, no_args_is_help=True)(complete.complete)
app.command("export", help=export.HELP, no_args_is_help=True)(export.export)
app.command("serve", help=serve.HELP, no_args_is_help=True)(serve.serve)
app.command("score", help=score.HELP, no_args_is_help=True)(score.score)
app.command("compress", help=compress.HELP, no_args_is_help=True)(compress.compress)
app.command("decompress", help=compress.DECOMPRESS_HELP, no_args_is_help=True)(compress.decompress)
app.command("query", help=query.HELP, no_args_is_help=True)(query.query)
app.command("demo", help=demo.HELP)(demo.demo)


@app.callback(invoke_without_command=True)
def _options(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        import tfar

        typer.echo(f"tfar {tfar.__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point of the `tfar` command. The exit code is 0 on success, 1 after an error and 2 for invalid options."""
    app(args=sys.argv[1:], prog_name="tfar")
