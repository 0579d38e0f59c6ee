"""The `exo` prefix."""

import gdb


class ExoPrefix(gdb.Command):
    """Commands of Exoscope, the debug server: the guest kernel's threads, processes and forks."""

    def __init__(self):
        super().__init__("exo", gdb.COMMAND_USER, gdb.COMPLETE_NONE, prefix=True)
