"""The hotline directory for the region in the settings."""

from care import hotlines
from care.hotlines import Directory
from dialogue.errors import Misconfigured


def directory_of(region: str) -> Directory:
    """Raises `Misconfigured` for a region without hotlines."""
    if region not in hotlines.regions():
        raise Misconfigured(f"MINDGLM_REGION must be one of {', '.join(hotlines.regions())}.")
    return hotlines.directory(region)
