"""Imaginarium: a creative studio in the browser, with nine generative systems behind it."""

import os

__version__ = "0.1.0"

# Torch's threads burn their core while they wait for each other. Where another program has that core, each waits for a time slice
# at every operation: a reversal of 3 s took 200 s. It has to be said before torch is loaded; who has said otherwise is obeyed.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
