"""The pipeline: from a snapshot of listings to a promoted model, as Dagster's assets."""

import atexit
import gc
import os

# Work is shared out among the cores by `cores.side_by_side`, one thread for each task. OpenMP's and OpenBLAS's own
# threads would come on top of those; and OpenMP's wait for each other in a loop, so that beside other work a fit of
# two seconds took minutes. Both libraries look once, when they are loaded: this comes before scikit-learn, which looks
# here itself, and else counts the cores in a way that not every machine bears.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

# Dagster and scikit-learn are some 300,000 objects. At the end of the process Python would look through all of them for
# cycles, for two seconds, when the system takes its memory back anyway.
atexit.register(gc.freeze)
