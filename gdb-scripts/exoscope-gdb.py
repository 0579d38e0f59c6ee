"""Loads Exoscope's commands and pretty printers into gdb.

    gdb -x gdb-scripts/exoscope-gdb.py -ex 'target remote 127.0.0.1:1234'

Then `help exo` lists the commands. This file only imports; the package beside it does the work.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import exoscope  # noqa: E402

exoscope.load()
