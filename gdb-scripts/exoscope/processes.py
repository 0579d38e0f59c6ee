"""`exo processes`."""

import gdb

from . import monitor


class ExoProcesses(gdb.Command):
    """exo processes: the guest's processes as a tree, with state and exit status."""

    def __init__(self):
        super().__init__("exo processes", gdb.COMMAND_STATUS, gdb.COMPLETE_NONE)

    def invoke(self, argument, _from_tty):
        monitor.at_most(argument, 0, "exo processes")
        monitor.show("processes")


COMMANDS = (ExoProcesses,)
