"""What keeps `edgeres listen` from working on this machine, and the command that mends it.

It runs where things are broken. Nothing here needs more than the standard library, Python 3.8's included: what could
fail or end the process to import (numpy, engines, PortAudio) is tried in processes of their own, see `probe`. So
`python3 -m edge_res.doctor` works in a clone of which nothing is installed.
"""

from edge_res.doctor.examine import examine
from edge_res.doctor.finding import Finding

__all__ = ["Finding", "examine"]
