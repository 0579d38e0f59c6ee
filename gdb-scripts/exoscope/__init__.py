"""Exoscope in gdb: a module for each topic, a class for each command."""

from . import forks, machine, printers, prefix, processes, return_addresses, threads


def load():
    """Registers every command and printer with gdb. Loading twice replaces the first."""
    prefix.ExoPrefix()
    for module in (threads, processes, forks, return_addresses, machine):
        for command in module.COMMANDS:
            command()
    printers.register()
