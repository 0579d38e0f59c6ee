"""`exo forks` and `exo break-fork`."""

import gdb

from . import monitor


class ExoForks(gdb.Command):
    """exo forks [N]: all forks since boot, newest first; with N one in full, and a verdict.

    `true` is what the CPU held when control reached sys_fork; `captured`, `stale` and `child` are
    what the kernel recorded."""

    def __init__(self):
        super().__init__("exo forks", gdb.COMMAND_STATUS, gdb.COMPLETE_NONE)

    def invoke(self, argument, _from_tty):
        monitor.show("forks", *monitor.at_most(argument, 1, "exo forks [N]"))


class ForkBreakpoint(gdb.Breakpoint):
    """Stops at the first instruction of sys_fork and shows what is captured there."""

    def stop(self):
        frame = gdb.newest_frame()
        names = ("rbx", "rbp", "r12", "r13", "r14", "r15", "rsp")
        mask = (1 << 64) - 1
        values = ("%s %016x" % (name, int(frame.read_register(name)) & mask) for name in names)
        gdb.write("fork by pid %d: %s\n" % (frame.read_register("guest_pid"), "  ".join(values)))
        gdb.write("returns to %s\n" % frame.read_register("ret_rsp"))
        return True


class ExoBreakFork(gdb.Command):
    """exo break-fork: stop at every sys_fork and show the captured registers."""

    def __init__(self):
        super().__init__("exo break-fork", gdb.COMMAND_BREAKPOINTS, gdb.COMPLETE_NONE)

    def invoke(self, argument, _from_tty):
        monitor.at_most(argument, 0, "exo break-fork")
        ForkBreakpoint("*sys_fork")


COMMANDS = (ExoForks, ExoBreakFork)
