"""The `outcrop` command. Each subcommand is a file beside this one; heavy imports wait until it runs."""

import typer

from outcrop.cli import demo, destroy, doctor, estimate, fsck, graders, keys, local, models

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Reinforcement fine-tuning of open-weight models behind the OpenAI fine-tuning API.",
)
app.command("local")(local.run)
app.command("demo")(demo.run)
app.command("doctor")(doctor.run)
app.command("fsck")(fsck.run)
app.command("destroy")(destroy.run)
app.command("estimate")(estimate.run)
app.add_typer(keys.app, name="keys")
app.add_typer(graders.app, name="graders")
app.add_typer(models.app, name="models")
