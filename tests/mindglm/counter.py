"""`mindglm admin` in this process."""

import json
from typing import Any

from typer.testing import CliRunner, Result

from mindglm.admin import app


def run(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=typed)


def printed(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)
