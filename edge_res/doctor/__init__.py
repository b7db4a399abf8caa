"""What keeps `edgeres listen` from working on this machine, and the command that mends it.

It runs where things are broken. Nothing here needs more than the standard library, Python 3.8's included: what could
fail or end the process to import (numpy, engines, PortAudio) is tried in processes of their own, see `probe`. So
`python3 -m edge_res.doctor` works in a clone of which nothing is installed.
"""

import sys

from edge_res.doctor.pythons import NEW_PYTHON, OLDEST_FOR_DOCTOR, too_old

if sys.version_info < OLDEST_FOR_DOCTOR:
    found = "Python {}.{} ({})".format(*sys.version_info[:2], sys.executable)
    sys.stdout.write(f"problem  python: {too_old(found)}\n           {NEW_PYTHON}\n")
    sys.exit(1)

from edge_res.doctor.examine import examine
from edge_res.doctor.finding import Finding

__all__ = ["Finding", "examine"]
