"""The command line; each command imports what it needs when it is called."""

from typing import Annotated, Any

import typer

from bot.channels import registry
from bot.channels.channel import Channel, ChannelProcess
from mindglm import language, lean
from mindglm.admin import app as admin
from mindglm.console import app as console
from mindglm.model import app as model
from mindglm.train import app as train

app = typer.Typer(
    name="mindglm",
    help="A durable chat bot for Chinese psychological counselling, with MindGLM.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


app.add_typer(admin, name="admin")
app.add_typer(console, name="console")
app.add_typer(model, name="model")
app.add_typer(train, name="train")


@app.command(epilog="Example: mindglm chat --timings")
def chat(
    *,
    worker: Annotated[bool, typer.Option(help="Start a worker for this conversation.")] = True,
    timings: Annotated[bool, typer.Option("--timings", help="Print timings on stderr.")] = False,
) -> None:
    """Talk in this terminal; starts and stops everything it needs."""
    with lean.services():
        from dialogue.process.settings import DialogueSettings
        from mindglm.chat import run

    raise typer.Exit(run(DialogueSettings.read(), has_worker=worker, has_timings=timings))


@app.command(epilog="Example: mindglm up")
def up() -> None:
    """Run every channel whose token is set, with broker and worker, until Ctrl-C."""
    with lean.services():
        from dialogue.process.settings import DialogueSettings
        from mindglm.up import run

    raise typer.Exit(run(DialogueSettings.read()))


def _add(channel: Channel[Any], process: ChannelProcess[Any]) -> None:
    """Add the command of one platform's adapter."""

    @app.command(channel.name, help=process.summary, epilog=f"Example: {process.example}")
    def listen(
        *,
        health: Annotated[
            bool, typer.Option("--health", help="Print the running adapter's health; exit status 1 if it is unhealthy.")
        ] = False,
    ) -> None:
        from mindglm import adapter_process

        raise typer.Exit(
            adapter_process.report(channel.name, process.settings().read()) if health else adapter_process.run(channel)
        )


for _channel in registry.platforms():
    _add(_channel, registry.process_of(_channel))


@app.command(epilog="Example: mindglm worker --concurrency 16")
def worker(
    concurrency: Annotated[int | None, typer.Option(help="Conversations generated at once.", min=1)] = None,
    name: Annotated[str | None, typer.Option(help="This worker's name among several.")] = None,
) -> None:
    """Run the GPU worker; the same as `celery -A worker worker`."""
    from mindglm import unknown_settings
    from mindglm.worker import run

    unknown_settings.warn()
    raise typer.Exit(run(concurrency=concurrency, name=name))


@app.command(epilog="Example: mindglm doctor --json")
def doctor(
    *,
    is_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Check everything that can be wrong and say how to fix it; exit status 1 if something does not work."""
    from mindglm.doctor.rounds import run

    raise typer.Exit(run(is_json=is_json))


@app.command(epilog="Example: mindglm health telegram")
def health(
    target: Annotated[str, typer.Argument(help=f"{', '.join(registry.metrics_offsets())}; or a URL.")],
) -> None:
    """Ask a running process (MINDGLM_METRICS_PORT) whether it is ready; 1 if not. For container health checks."""
    from dialogue.process.settings import DialogueSettings
    from mindglm.health import run

    raise typer.Exit(run(DialogueSettings.read(), target))


@app.command(epilog="Example: mindglm migrate")
def migrate() -> None:
    """Migrate the database to this version's schema."""
    from dialogue.process import home
    from dialogue.process.settings import DialogueSettings
    from dialogue.storage import schema
    from mindglm import unknown_settings

    unknown_settings.warn()
    schema.upgrade_at(home.database_url(DialogueSettings.read()))
    language.echo("The database has the schema of this version.")


@app.command(epilog="Example: export MINDGLM_SECRET_KEY=$(mindglm key)")
def key() -> None:
    """Print a new master key. Keep it away from the database, and do not lose it."""
    from dialogue.storage.vault import new_secret

    typer.echo(new_secret())
