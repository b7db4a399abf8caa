"""Problems that keep `edgeres listen` from working on this machine, and how to fix them.

It must run on a broken installation, so it uses only the standard library, and Python 3.8 is enough. Imports that could
fail or end the process (numpy, engines, PortAudio) are tried in separate processes, see `probe`. `python3 -m
edge_res.doctor` works in a clone with nothing installed.
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
