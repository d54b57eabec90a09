"""Writes numbered records until it is killed: `python -m ….numbered_writer FOLDER RUN FLUSH_SECONDS BYTES PAUSE`.

BYTES are those of a file, PAUSE the seconds between two hundred records: 0 for as fast as it can. Tells on its standard
output, a line each, up to which number records were taken, and when by the clock that all processes share.
"""

import os
import sys
import time
from pathlib import Path

from prediction_log.writer import LogWriter
from tests.prediction_log.log import prediction

FEW = 2_000
"""Written well within a flush, whatever the loop below takes of the interpreter: no more may wait."""


def main(folder: Path, run: str, flush_seconds: float, size: int, pause: float) -> None:
    writer = LogWriter(folder, "predictions", capacity=FEW, rotate_bytes=size, flush_seconds=flush_seconds)
    if pause:
        # So slow that nothing is written before its time.
        writer = LogWriter(folder, "predictions", rotate_bytes=size, flush_seconds=flush_seconds)
    writer.start()
    number = 0
    while True:
        for _ in range(200):
            if writer.offer(lambda number=number: [prediction(f"{run}-{number}")]):
                number += 1
            else:
                time.sleep(0.001)
        os.write(1, f"{number} {time.monotonic()}\n".encode())
        time.sleep(pause)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
