"""Kill an erasure at every line it runs, or at each n-th: `python -m tests.prediction_log.crash_eraser FOLDER N`.

For each n, a copy of a log is erased from by a forked process that sends itself SIGKILL at the n-th line. Then a
reader looks, and the next erasure, of something else, completes it. Prints kills and faults as JSON.
"""

import json
import shutil
import sys
from pathlib import Path

from prediction_log.erasing import forget
from prediction_log.files import log_files
from prediction_log.reader import read_records
from tests.killing import die_at
from tests.prediction_log.log import feedback, lines, names, prediction, request_ids

LISTING = 7
CODE = {"erasing.py", "files.py"}
STAMP = "20260801T120000-0123abcd"


def fill(folder: Path) -> None:
    folder.mkdir()
    (folder / f"feedback-{STAMP}-1.jsonl").write_bytes(lines(feedback("a"), feedback("b")))
    (folder / f"feedback-{STAMP}-2.jsonl.open").write_bytes(lines(feedback("c"), feedback("d", 1), feedback("d", 2)))
    (folder / f"predictions-{STAMP}-1.jsonl").write_bytes(lines(prediction("a", listing_id=LISTING), prediction("b")))
    (folder / f"predictions-{STAMP}-2.jsonl").write_bytes(lines(prediction("c", listing_id=LISTING)))
    batch = lines(prediction("d", 1), prediction("d", 2, listing_id=LISTING), prediction("e"))
    (folder / f"predictions-{STAMP}-3.jsonl.open").write_bytes(batch)


def faults(folder: Path) -> list[str]:
    """What is wrong after a kill: to a reader at once, and after the next erasure."""
    found = list[str]()
    kept = {"predictions": {"b", "d", "e"}, "feedback": {"b", "d"}}
    for prefix, ids in kept.items():
        lost = ids - set(request_ids(folder, prefix))
        found += [f"{id_} is gone from the {prefix}" for id_ in lost]
        found += ["a line is cut" for part in read_records(folder, prefix) if part.cut or part.unknown]
    before = set(request_ids(folder, "feedback")) - kept["feedback"]
    orphans = before - set(request_ids(folder, "predictions"))
    found += [f"the feedback {id_} has outlived what tells whose it is" for id_ in orphans]
    forget(folder, request_id="none", settle=0)
    if request_ids(folder, "predictions") not in (["b", "d", "e"], ["a", "b", "c", "d", "d", "e"]):
        found.append(f"the next erasure left {request_ids(folder, 'predictions')}")
    # Killed before it was written down, it was never asked for; the second time is as the first one.
    forget(folder, listing_id=LISTING, settle=0)
    for prefix, expected in (("predictions", ["b", "d", "e"]), ("feedback", ["b", "d"])):
        if request_ids(folder, prefix) != expected:
            found.append(f"in the end there are {request_ids(folder, prefix)} among the {prefix}")
    if len(names(folder)) != len(log_files(folder)) + 1 or any(file.open for file in log_files(folder)):
        found.append(f"in the end there is {names(folder)}")
    return found


def main(folder: Path, step: int) -> None:
    fill(folder / "base")
    kills, found = 0, list[str]()
    while True:
        shutil.rmtree(folder / "copy", ignore_errors=True)
        shutil.copytree(folder / "base", folder / "copy")
        line = 1 + kills * step
        if not die_at(line, CODE, lambda: forget(folder / "copy", listing_id=LISTING, settle=0)):
            break
        kills += 1
        found += [f"line {line}: {fault}" for fault in faults(folder / "copy")]
    print(json.dumps({"kills": kills, "faults": found}))  # noqa: T201 (its answer)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
