"""`exo retaddr`."""

import gdb

from . import monitor


class ExoReturnAddresses(gdb.Command):
    """exo retaddr [TID | all | ADDRESS]: the return addresses that a stack pointer leads to.

    Without an argument: of the selected thread. ADDRESS may be any expression that gdb can
    evaluate, e.g. $rsp + 64."""

    def __init__(self):
        super().__init__("exo retaddr", gdb.COMMAND_STACK, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, _from_tty):
        argument = argument.strip()
        if argument in ("", "all") or argument.isdigit():
            monitor.show("retaddr", argument)
            return
        address = int(gdb.parse_and_eval(argument)) & ((1 << 64) - 1)
        monitor.show("retaddr", "0x%x" % address)


COMMANDS = (ExoReturnAddresses,)
