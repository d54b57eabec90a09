"""Puts the instance's settings into DAGSTER_HOME and becomes the command it is given.

DAGSTER_HOME is on a volume and outlives the image, so a dagster.yaml that was only copied there once would stay
that of the first image for ever. Where DAGSTER_HOME is set to another folder than the image's, its dagster.yaml is
somebody else's (Dagster's Helm chart brings one) and left alone.
"""

import os
import sys
from pathlib import Path

import yaml

IMAGE = Path(__file__).parents[1]
HOME = IMAGE / "var" / "dagster"


def settings(cluster: bool = False) -> dict[str, object]:
    """The local instance's settings with those replaced that differ in containers, and in a cluster of them."""
    files = ["dagster.yaml", "containers/dagster.yaml", *(["containers/dagster.celery.yaml"] if cluster else [])]
    merged: dict[str, object] = {}
    for file in files:
        merged |= yaml.safe_load((IMAGE / file).read_text())
    return {name: value for name, value in merged.items() if value is not None}


def write_settings(home: Path, cluster: bool = False) -> None:
    """Replace dagster.yaml by one rename: other services may read it at this moment."""
    home.mkdir(parents=True, exist_ok=True)
    fresh = home / f".dagster.yaml.{os.uname().nodename}"
    fresh.write_text("# Written by containers/start.py at every start: a change here would be lost.\n")
    with fresh.open("a") as file:
        yaml.safe_dump(settings(cluster), file, sort_keys=False)
    fresh.replace(home / "dagster.yaml")


def main() -> None:
    """Write the settings, then run the command in this process's place, so that it gets the signals."""
    if Path(os.environ["DAGSTER_HOME"]) == HOME:
        write_settings(HOME, cluster=bool(os.environ.get("CELERY_BROKER")))
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 (no shell is the point)


if __name__ == "__main__":
    main()
