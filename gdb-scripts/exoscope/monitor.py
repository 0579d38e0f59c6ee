"""The way to the server: monitor commands, and gdb's caches after them."""

import gdb


def ask(command, *arguments):
    """What the server answers to a monitor command, as text. Raises gdb.error if it fails."""
    line = " ".join(("monitor", command) + arguments).strip()
    return gdb.execute(line, to_string=True)


def show(command, *arguments):
    """Prints the server's answer."""
    gdb.write(ask(command, *arguments))


def flush_caches():
    """Makes gdb forget registers, frames and memory: the machine has moved behind its back."""
    gdb.execute("maintenance flush register-cache", to_string=True)
    gdb.execute("maintenance flush dcache", to_string=True)


def at_most(arguments, count, usage):
    """The words of an argument string; more than `count` is the user's mistake."""
    words = gdb.string_to_argv(arguments)
    if len(words) > count:
        raise gdb.GdbError("usage: " + usage)
    return words


def select_cpu():
    """Selects thread 1 of the server, which always exists: a reset ends all others."""
    for thread in gdb.selected_inferior().threads():
        if thread.ptid[1] == 1:
            thread.switch()
