"""The `outcrop` command. Each subcommand is a file beside this one; heavy imports wait until it runs."""

import typer

from outcrop.cli import demo, graders, keys, local

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Reinforcement fine-tuning of open-weight models behind the OpenAI fine-tuning API.",
)
app.command("local")(local.run)
app.command("demo")(demo.run)
app.add_typer(keys.app, name="keys")
app.add_typer(graders.app, name="graders")
