"""``mindglm console``: the web console as a process, and its first accounts."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mindglm import language
from mindglm.admin.context import AsJson

if TYPE_CHECKING:
    from console.services import ConsoleServices
    from console.settings import ConsoleSettings
    from dialogue.storage.database import Database

app = typer.Typer(help="The web console: watch, read, step in.", epilog="Example: mindglm console")

Name = Annotated[str, typer.Argument(help="Letters, digits, or . _ @ + -")]


@app.callback(invoke_without_command=True)
def serve(context: typer.Context) -> None:
    """Serve the web console until SIGTERM or Ctrl-C; while there is no admin, print a link that creates one."""
    if context.invoked_subcommand is not None:
        return
    from console.settings import ConsoleSettings
    from mindglm import unknown_settings

    unknown_settings.warn()
    _need_the_extra()
    raise typer.Exit(_serve(ConsoleSettings.read()))


@app.command("add-user", epilog="Example: mindglm console add-user lin --role counsellor")
def add_user(
    *,
    name: Name,
    role: Annotated[str, typer.Option(help="viewer, counsellor or admin.")] = "viewer",
    language: Annotated[str, typer.Option(help="zh or en.")] = "zh",
    email: Annotated[
        str,
        typer.Option(help="The address by which single sign-on finds them the first time; no password is asked for."),
    ] = "",
    link: Annotated[
        bool,
        typer.Option("--link", help="Print a link by which they choose their password, instead of asking for one."),
    ] = False,
    json: AsJson = False,
) -> None:
    """Add a user of the web console. Prompts for the password, or reads it from standard input."""
    _need_the_extra()
    from console import accounts, identities, passwords
    from console.settings import ConsoleSettings
    from dialogue.errors import Misconfigured
    from dialogue.states import Role
    from dialogue.storage.clock import utc_now

    if role not in list(Role):
        raise Misconfigured(f"--role must be one of {', '.join(Role)}.")
    if language not in {"zh", "en"}:
        raise Misconfigured("--language must be zh or en.")
    settings = ConsoleSettings.read()
    database = _open_database(settings)
    digest = None if link or email else passwords.digest(_ask_password(), name=name)
    with database.begin() as session:
        staff_id = accounts.add(
            session, name=name, role=Role(role), locale=language, password_hash=digest, actor="terminal", now=utc_now()
        )
        if email:
            identities.set_email(session, staff_id, email, actor="terminal", now=utc_now())
        token = accounts.make_link(session, staff_id, actor="terminal", now=utc_now()) if link else None
    database.close()
    done = {"name": accounts.normalised(name), "link": f"{_base_url(settings)}/welcome/{token}" if token else None}
    _tell(done, f"{done['name']} may sign in.", as_json=json)


@app.command("reset-password", epilog="Example: mindglm console reset-password lin")
def reset_password(name: Name, *, json: AsJson = False) -> None:
    """Print a link for choosing a new password; also resets failed sign-in attempts."""
    _need_the_extra()
    from console import accounts, signing_in
    from console.settings import ConsoleSettings
    from dialogue.errors import Misconfigured
    from dialogue.storage.clock import utc_now

    settings = ConsoleSettings.read()
    database = _open_database(settings)
    with database.begin() as session:
        member = accounts.by_name(session, accounts.normalised(name))
        if member is None:
            raise Misconfigured(f"Nobody is called {name}.")
        if member.disabled_at is not None:
            accounts.enable(session, member.id, actor="terminal", now=utc_now())
        token = accounts.make_link(session, member.id, actor="terminal", now=utc_now())
        signing_in.forgive(session, member.name)
    database.close()
    _tell({"name": member.name, "link": f"{_base_url(settings)}/welcome/{token}"}, "", as_json=json)


def _tell(done: dict[str, str | None], otherwise: str, *, as_json: bool) -> None:
    """The link by itself, so that a script can take it; without one a sentence."""
    if as_json:
        from mindglm.admin import printing

        printing.as_json(done)
    elif done["link"]:
        typer.echo(done["link"])
    else:
        language.echo(otherwise)


def _serve(settings: "ConsoleSettings") -> int:
    """Returns the exit status; an address that is taken was said by the server."""
    from bot.channels import registry
    from console.security import is_exposed
    from console.server import serve as run
    from console.services import ConsoleServices
    from dialogue.process.exit_status import ExitStatus
    from dialogue.process.logs import configure
    from dialogue.process.opening import upgrade_own

    configure(settings)
    upgrade_own(settings)
    services = ConsoleServices.open(settings, channels=registry.labels())
    if is_exposed(settings):
        language.echo(_EXPOSED, to_stderr=True)
    if settings.console_second_factor != "required":
        language.echo(_ONE_FACTOR, to_stderr=True)
    _welcome(services)
    try:
        has_served = run(services)
    except KeyboardInterrupt:
        return ExitStatus.OK
    finally:
        services.close()
    if not has_served:
        language.echo(_CANNOT_LISTEN.format(listen=settings.console_listen), to_stderr=True)
        return ExitStatus.UNAVAILABLE
    return ExitStatus.OK


def _welcome(services: "ConsoleServices") -> None:
    """The address, and while there is no admin the link that creates one: on the terminal, never in a log."""
    from console import accounts

    base = _base_url(services.settings)
    with services.database.begin() as session:
        token = (
            None if accounts.has_admin(session) else accounts.make_link(session, None, actor="", now=services.clock())
        )
    if token is None:
        language.echo(f"The console is at {base}")
    else:
        language.echo("There is no admin yet. This link creates one; it works once, for 24 hours:")
        typer.echo(f"{base}/welcome/{token}")


def _open_database(settings: "ConsoleSettings") -> "Database":
    from dialogue.process import home
    from dialogue.process.opening import upgrade_own
    from dialogue.storage import schema
    from dialogue.storage.database import connect

    upgrade_own(settings)
    database = connect(home.database_url(settings))
    schema.check(database)
    return database


def _ask_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password: str = typer.prompt(language.say("Password"), hide_input=True, confirmation_prompt=True)
    return password


def _base_url(settings: "ConsoleSettings") -> str:
    if settings.console_url is not None:
        return settings.console_url
    host = {"0.0.0.0": "localhost", "::": "localhost"}.get(settings.console_host, settings.console_host)  # noqa: S104 - compared, not bound
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.console_port}"


_EXTRA = ("argon2", "authlib", "httpx2", "jinja2", "pyotp", "segno", "starlette", "uvicorn", "webauthn", "zxcvbn")


def _need_the_extra() -> None:
    """Say what to install, instead of a traceback."""
    from importlib.util import find_spec

    from dialogue.errors import Misconfigured

    missing = [name for name in _EXTRA if find_spec(name) is None]
    if missing:
        raise Misconfigured(f"The web console needs {', '.join(missing)}: pip install 'mindglm-bot[console]'.")


_EXPOSED = """\
mindglm console: WARNING: this listens beyond this machine without TLS: passwords and transcripts cross the network in \
the clear. Listen on 127.0.0.1 behind a TLS proxy and set MINDGLM_CONSOLE_URL to its https address (docs/console.md)."""
_CANNOT_LISTEN = """\
mindglm console: {listen} cannot be listened on. Another process, perhaps another console, has it: stop it, or set \
MINDGLM_CONSOLE_LISTEN to another one."""
_ONE_FACTOR = """\
mindglm console: WARNING: MINDGLM_CONSOLE_SECOND_FACTOR=offered: a stolen password is enough to read what people \
wrote."""
