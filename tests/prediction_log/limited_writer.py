"""Writes ten records where no file may have more bytes: `python -m tests.prediction_log.limited_writer FOLDER BYTES`.

Prints the state at the end as JSON.
"""

import resource
import sys
from pathlib import Path

import msgspec

from prediction_log.writer import LogWriter
from tests.prediction_log.log import prediction


def main(folder: Path, most: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    writer = LogWriter(folder, "predictions")
    writer.offer(lambda: [prediction(str(number)) for number in range(10)], 10)
    writer.start()
    writer.close()
    sys.stdout.buffer.write(msgspec.json.encode(writer.state()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
