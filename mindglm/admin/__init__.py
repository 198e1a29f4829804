"""``mindglm admin``: see and steer from a terminal or a script. One file for each group of commands.

Exit status: 0 done; 1 it could not be done, or what was asked is not well; 2 wrong usage, or not confirmed.
"""

import typer

from mindglm.admin import keeping, looking, privacy, steering

app = typer.Typer(
    help="Watch over conversations: how it is going, who talks, reset, block, the audit, people's rights, backups.",
    no_args_is_help=True,
)

for group in (looking, steering, privacy, keeping):
    group.register(app)
