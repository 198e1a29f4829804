"""``mindglm admin``: monitor and control from a terminal or a script. One module per group of commands.

Exit status: 0 done; 1 it failed, or the status is not healthy; 2 wrong usage, or not confirmed.
"""

import typer

from mindglm.admin import backups, privacy, queries, staff, steering

app = typer.Typer(
    help="Manage conversations: status, list, reset, block, audit, people's data, backups, staff.",
    no_args_is_help=True,
)

for group in (queries, steering, privacy, backups, staff):
    group.register(app)
