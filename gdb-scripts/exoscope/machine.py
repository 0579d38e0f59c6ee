"""The machine itself: `exo serial`, `exo reset`."""

import gdb

from . import monitor


class ExoSerial(gdb.Command):
    """exo serial [N]: the last N lines (20) of the guest's serial console."""

    def __init__(self):
        super().__init__("exo serial", gdb.COMMAND_STATUS, gdb.COMPLETE_NONE)

    def invoke(self, argument, _from_tty):
        monitor.show("serial", *monitor.at_most(argument, 1, "exo serial [N]"))


class ExoReset(gdb.Command):
    """exo reset: power-cycle the machine; gdb forgets what it knew of the old run."""

    def __init__(self):
        super().__init__("exo reset", gdb.COMMAND_RUNNING, gdb.COMPLETE_NONE)

    def invoke(self, argument, _from_tty):
        monitor.at_most(argument, 0, "exo reset")
        monitor.select_cpu()
        monitor.ask("reset")
        monitor.flush_caches()
        gdb.write("the machine was reset\n")
        gdb.execute("frame")


COMMANDS = (ExoSerial, ExoReset)
