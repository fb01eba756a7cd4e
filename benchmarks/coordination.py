"""What a round of a deployment takes beside training: `make federation-demo`, then this.

Reads the coordinator's audit log of the demonstration: when each hospital was asked and its update
accepted. Rounds in which a hospital was away are left out.
"""

import json
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

LOG = Path(".demo/coordinator/audit/log.jsonl")
_AWAY = {"rejoined", "session ended", "missing"}


def main() -> None:
    """Print median milliseconds a round, by phase."""
    entries = [json.loads(line) for line in LOG.read_text().splitlines()]
    rounds = by_round(entries)
    away = {e["round"] for e in entries if e["event"] in _AWAY}
    found: dict[str, list[float]] = defaultdict(list)
    for number in sorted(rounds):
        if number + 1 in rounds and not {number, number + 1} & away and number > 0:
            for name, seconds in phases(rounds[number], rounds[number + 1]).items():
                found[name].append(1000 * seconds)
    print(f"{len(found['whole round'])} rounds of {len(hospitals(entries))} hospitals, median ms")
    for name, values in found.items():
        print(f"{name:55} {median(values):6.0f}")


def by_round(entries: list[dict[str, Any]]) -> dict[int, dict[str, list[float]]]:
    """Round → event → seconds at which it happened."""
    found: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for one in entries:
        name = one["event"]
        if name == "asked":
            name = one["details"]["to"]
        found[one["round"]][name].append(datetime.fromisoformat(one["time"]).timestamp())
    return found


def phases(now: dict[str, list[float]], then: dict[str, list[float]]) -> dict[str, float]:
    """Seconds."""
    first, last = min(now["order"]), max(now["accepted"])
    return {
        "first hospital asked → last asked": max(now["order"]) - first,
        "first asked → first update accepted (with training)": min(now["accepted"]) - first,
        "first asked → last update accepted": last - first,
        "aggregation and server step, until evaluation is asked": min(now["evaluate"]) - last,
        "evaluation, journal, and selection of the next round": (
            min(then["order"]) - min(now["evaluate"])
        ),
        "whole round": min(then["order"]) - first,
    }


def hospitals(entries: list[dict[str, Any]]) -> set[str]:
    """All that were asked."""
    return {one["hospital"] for one in entries if one["event"] == "asked"}


if __name__ == "__main__":
    main()
