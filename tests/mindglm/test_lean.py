import subprocess
import sys

from mindglm.lean import LATE_IN_ADAPTERS, UNUSED_BY_ADAPTERS

PROGRAM = """
import sys
from mindglm import docstrings, lean

with docstrings.left_out(), lean.services():
    from bot.channels import registry
    from mindglm import adapter_process
    for channel in registry.platforms():
        adapter_process.load(channel)

unused = {*lean.UNUSED_BY_ADAPTERS, *lean.LATE_IN_ADAPTERS, "httpx"}
print(*sorted(name for name in unused if name in sys.modules))
import rich, yaml
from redis.cluster import RedisCluster
from telegram.request import HTTPXRequest
import html
import telegram
import telegram.error
import sqlalchemy
assert html.unescape("&amp;&notin;") == "&\u2209" and "html.entities" in sys.modules
assert (telegram.Bot.send_message.__doc__, telegram.Bot.__doc__, sqlalchemy.select.__doc__) == (None, None, None)
import dialogue.errors
assert dialogue.errors.DatabaseUnavailable.__doc__
print(rich.__name__, yaml.__name__, RedisCluster.__module__, type(HTTPXRequest()).__name__)
"""


def test_an_adapter_loads_none_of_what_it_does_not_use_and_others_still_can() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.stdout == "\nrich yaml redis.cluster HTTPXRequest\n", done.stderr
    assert UNUSED_BY_ADAPTERS
    assert LATE_IN_ADAPTERS
