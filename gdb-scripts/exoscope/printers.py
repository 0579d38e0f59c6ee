"""Pretty printers for the Exo kernel's structures."""

import gdb
import gdb.printing

MASK = (1 << 64) - 1


def symbol_of(address):
    """`name+offset` of an address in the kernel, or an empty string."""
    block = gdb.block_for_pc(address)
    while block is not None and block.function is None:
        block = block.superblock
    if block is None:
        return ""
    offset = address - block.start
    return "%s+%d" % (block.function.name, offset) if offset else block.function.name


def enumeration(value):
    """The name of a u32 field that holds one of the kernel's enumerations, by its type's name."""

    def name(type_name):
        try:
            fields = gdb.lookup_type("enum " + type_name).fields()
        except gdb.error:
            return str(int(value))
        names = [field.name for field in fields if field.enumval == int(value)]
        return names[0] if names else "%d?" % int(value)

    return name


class RegisterPrinter:
    """A structure of u64 registers: one line with rip and rsp, then every register in hex."""

    def __init__(self, value):
        self.value = value

    def register(self, name):
        return int(self.value[name]) & MASK

    def names(self):
        return [field.name for field in self.value.type.strip_typedefs().fields()]

    def to_string(self):
        parts = []
        for name in ("rip", "rsp"):
            if name in self.names():
                parts.append("%s=0x%x" % (name, self.register(name)))
        if "rip" in self.names():
            symbol = symbol_of(self.register("rip"))
            parts[0] += " <%s>" % symbol if symbol else ""
        return " ".join(parts)

    def children(self):
        for name in self.names():
            yield name, "0x%016x" % self.register(name)


class ThreadPrinter:
    """A thread in one line; `p/r` shows the structure."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        thread = self.value
        state = enumeration(thread["state"])("ThreadState")
        rip = int(thread["context"]["rip"]) & MASK
        return 'tid %d pid %d "%s" %s, saved rip 0x%x <%s>' % (
            thread["tid"],
            thread["pid"],
            thread["name"].string("latin-1"),
            state,
            rip,
            symbol_of(rip),
        )


class ProcessPrinter:
    """A process in one line; `p/r` shows the structure."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        process = self.value
        return 'pid %d ppid %d "%s" %s, exit status %d' % (
            process["pid"],
            process["ppid"],
            process["name"].string("latin-1"),
            enumeration(process["state"])("ProcessState"),
            process["exit_status"],
        )


class ForkRecordPrinter:
    """An entry of the fork-capture ring: the ids, then the registers."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        record = self.value
        return "fork %d: tid %d -> tid %d, returns to 0x%x <%s>" % (
            int(record["sequence"]),
            record["parent_tid"],
            record["child_tid"],
            int(record["derived_rip"]) & MASK,
            symbol_of(int(record["derived_rip"]) & MASK),
        )

    def children(self):
        for name in ("captured", "stale", "child"):
            yield name, self.value[name]


PRINTERS = {
    "ThreadContext": RegisterPrinter,
    "CapturedRegisters": RegisterPrinter,
    "TrapFrame": RegisterPrinter,
    "Thread": ThreadPrinter,
    "Process": ProcessPrinter,
    "ForkRecord": ForkRecordPrinter,
}


def register():
    """Registers the printers for all object files: kernel symbols may come from the server."""
    collection = gdb.printing.RegexpCollectionPrettyPrinter("exoscope")
    for name, printer in PRINTERS.items():
        collection.add_printer(name, "^%s$" % name, printer)
    gdb.printing.register_pretty_printer(None, collection, replace=True)
