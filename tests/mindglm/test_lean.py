import subprocess
import sys

from mindglm.lean import UNUSED_BY_ADAPTERS

PROGRAM = """
import sys
from mindglm.lean import UNUSED_BY_ADAPTERS, without

with without(*UNUSED_BY_ADAPTERS):
    from bot.channels import registry
    from mindglm import adapters
    for channel in registry.platforms():
        adapters.load(channel)

print(*sorted(name for name in UNUSED_BY_ADAPTERS if name in sys.modules))
import rich, yaml
print(rich.__name__, yaml.__name__)
"""


def test_an_adapter_loads_none_of_what_it_does_not_use_and_others_still_can() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.stdout == "\nrich yaml\n", done.stderr
    assert UNUSED_BY_ADAPTERS
