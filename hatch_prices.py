"""Writes the price book that a new database starts with, when a wheel, sdist or editable install is made."""

import importlib.util
import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CATALOG = Path("src", "deeptoken", "catalog")


class PricesHook(BuildHookInterface[Any]):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        write(Path(self.root))


def write(root: Path) -> None:
    """Read the price-data package into `prices.json`; a file that says the same already is left alone."""
    spec = importlib.util.spec_from_file_location("pricedata", root / CATALOG / "pricedata.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(root / CATALOG / "pricedata.py")
    pricedata = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pricedata)
    said = pricedata.as_json(_day())
    target = root / CATALOG / "prices.json"
    if not target.exists() or target.read_text(encoding="utf-8") != said:
        target.write_text(said, encoding="utf-8")


def _day() -> date:
    """Today, or the day that a reproducible build names."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")  # noqa: TID251 - a build is not the gateway
    if epoch:
        return datetime.fromtimestamp(int(epoch), UTC).date()
    return datetime.now(UTC).date()  # noqa: TID251 - the same


if __name__ == "__main__":
    write(Path(__file__).parent)
