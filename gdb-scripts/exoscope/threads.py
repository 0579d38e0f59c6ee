"""`exo threads` and `exo thread`."""

import gdb

from . import monitor


class ExoThreads(gdb.Command):
    """exo threads: the guest's threads, with state, what each waits for, rip, rsp, stack use.

    gdb's thread for tid N is number N + 1 of process 1; `exo thread N` selects it."""

    def __init__(self):
        super().__init__("exo threads", gdb.COMMAND_STATUS, gdb.COMPLETE_NONE)

    def invoke(self, argument, _from_tty):
        monitor.at_most(argument, 0, "exo threads")
        monitor.show("threads")


class ExoThread(gdb.Command):
    """exo thread TID: select the guest thread with this tid, as `thread` does by gdb's number."""

    def __init__(self):
        super().__init__("exo thread", gdb.COMMAND_STACK, gdb.COMPLETE_NONE)

    def invoke(self, argument, _from_tty):
        words = monitor.at_most(argument, 1, "exo thread TID")
        if len(words) != 1 or not words[0].isdigit():
            raise gdb.GdbError("usage: exo thread TID")
        wanted = int(words[0]) + 1
        for thread in gdb.selected_inferior().threads():
            if thread.ptid[1] == wanted:
                gdb.execute("thread %d" % thread.num)
                return
        raise gdb.GdbError("no thread has tid %s; `exo threads` lists them" % words[0])


COMMANDS = (ExoThreads, ExoThread)
