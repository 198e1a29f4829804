"""Commands for the accounts of the web console."""

from typing import Annotated

import typer

from mindglm.admin.context import AdminContext, AsJson, Yes, confirm

Name = Annotated[str, typer.Argument(help="The name with which they sign in.")]
Reason = Annotated[str, typer.Option("--why", help="The reason, kept in the audit; at most 180 characters.")]
_MAX_REASON_LENGTH = 180


def register(app: typer.Typer) -> None:
    """Put these commands on the counter."""
    app.command(epilog="Example: mindglm admin reset-second-factor lin --why 'lost their phone'")(reset_second_factor)


def reset_second_factor(name: Name, *, why: Reason, yes: Yes = False, json: AsJson = False) -> None:
    """Remove a member's second factors and recovery codes, and sign them out; the next sign-in sets up a new one."""
    from console import accounts, second_factor
    from dialogue.errors import Misconfigured
    from dialogue.storage.clock import utc_now
    from mindglm.admin import printing

    if not why.strip() or len(why) > _MAX_REASON_LENGTH:
        raise typer.BadParameter("a reason of 1 to 180 characters", param_hint="--why")
    confirm(f"Reset the second factor of {name}?", yes=yes)
    with AdminContext.open() as counter, counter.database.begin() as session:
        member = accounts.by_name(session, accounts.normalised(name))
        if member is None:
            raise Misconfigured(f"Nobody is called {name}.")
        second_factor.reset(session, member.id, actor=counter.actor.name, reason=why.strip(), now=utc_now())
        done = {"staff_id": member.id, "name": member.name}
    if json:
        printing.as_json(done)
    else:
        printing.line(f"{done['name']} sets up a new second factor at the next sign-in.")
