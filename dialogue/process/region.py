"""Whose numbers are named: the directory of hotlines that the settings choose."""

from care import hotlines
from care.hotlines import Directory
from dialogue.errors import Misconfigured


def directory_of(region: str) -> Directory:
    """Raises `Misconfigured` for a region that does not ship."""
    if region not in hotlines.regions():
        raise Misconfigured(f"MINDGLM_REGION must be one of {', '.join(hotlines.regions())}.")
    return hotlines.directory(region)
