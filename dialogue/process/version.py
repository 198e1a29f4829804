"""The product's version."""

from importlib.metadata import PackageNotFoundError, version

_DISTRIBUTION = "mindglm-bot"


def product_version() -> str:
    """The installed version; "source" for code that runs from a checkout."""
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return "source"
