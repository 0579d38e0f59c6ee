# Exoscope's commands for a gdb without Python: exo-threads, exo-processes, exo-forks, exo-retaddr,
# exo-serial, exo-reset.
#
#     gdb -x gdb-scripts/exoscope-plain.gdb -ex 'target remote 127.0.0.1:1234'
#
# With Python, exoscope-gdb.py has the same as `exo threads` and so on, and pretty printers.

define exo-threads
  monitor threads
end
document exo-threads
List the guest's threads: state, what each waits for, rip, rsp, kernel-stack use.
end

define exo-processes
  monitor processes
end
document exo-processes
Show the guest's processes as a tree, with state and exit status.
end

define exo-forks
  if $argc == 0
    monitor forks
  else
    monitor forks $arg0
  end
end
document exo-forks
exo-forks [N]: all forks since boot, or the registers of fork N and a verdict.
end

define exo-retaddr
  if $argc == 0
    monitor retaddr
  else
    monitor retaddr $arg0
  end
end
document exo-retaddr
exo-retaddr [TID | all | ADDRESS]: the return addresses that a stack pointer leads to.
end

define exo-serial
  if $argc == 0
    monitor serial
  else
    monitor serial $arg0
  end
end
document exo-serial
exo-serial [N]: the last N lines of the guest's serial console.
end

define exo-reset
  # Thread 1 always exists; a reset ends all others.
  thread 1
  monitor reset
  maintenance flush register-cache
  maintenance flush dcache
  frame
end
document exo-reset
Power-cycle the machine and make gdb forget what it knew of it.
end
