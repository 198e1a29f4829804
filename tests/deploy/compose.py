"""compose.yaml as a test reads it."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("mindglm-")}
PYTHON = {name: service for name, service in OURS.items() if not service["image"].startswith("mindglm-gateway")}
"""Those that run `mindglm`."""


def seconds(duration: str) -> float:
    """Of a duration like 150s or 1m30s."""
    units = {"h": 3600, "m": 60, "s": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([hms])", duration))


def command(name: str) -> list[str]:
    """What the container of this service runs."""
    default = ["worker"] if "worker" in SERVICES[name]["image"] else ["--help"]
    return ["mindglm", *SERVICES[name].get("command", default)]
