"""Writes numbered records until it is killed: `python -m ….numbered_writer FOLDER RUN SECONDS BYTES`.

Tells on its standard output, a line each, up to which number records were taken, and when by the clock that all
processes share. SECONDS are those of the writer's flush, BYTES those of its files.
"""

import os
import sys
import time
from pathlib import Path

from prediction_log.writer import LogWriter
from tests.prediction_log.log import prediction


def main(folder: Path, run: str, seconds: float, size: int) -> None:
    # So few wait that they are written well within a flush, whatever this loop takes of the interpreter.
    writer = LogWriter(folder, "predictions", capacity=2_000, rotate_bytes=size, flush_seconds=seconds)
    writer.start()
    number = 0
    while True:
        for _ in range(200):
            if writer.offer(lambda number=number: [prediction(f"{run}-{number}")]):
                number += 1
            else:
                time.sleep(0.001)
        os.write(1, f"{number} {time.monotonic()}\n".encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))
