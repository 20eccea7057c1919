"""Imaginarium: a creative studio in the browser, with nine generative systems behind it."""

import os

__version__ = "0.1.0"

# Torch's threads (GNU OpenMP's) burn their core for a millisecond while they wait for each other. Where another program has it,
# each waits for a time slice at every operation: a reversal of 3 s took 200 s. After a thousand turns they sleep instead: 3 s on
# idle cores, 5 s beside a busy one. It has to be said before torch is loaded; who has said otherwise is obeyed.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
