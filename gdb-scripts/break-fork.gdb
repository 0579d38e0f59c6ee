# Stops at every sys_fork, prints what the CPU holds there and the return addresses on the stack,
# and goes on; after $exo_fork_limit forks (5) it shows the server's log of forks and detaches.
#
#     gdb -batch -x gdb-scripts/break-fork.gdb
#     EXOSCOPE=127.0.0.1:4321 gdb -batch -ex 'set $exo_fork_limit = 2' -x gdb-scripts/break-fork.gdb
#     gdb -batch -ex 'target remote HOST:PORT' -x gdb-scripts/break-fork.gdb     (gdb without Python)
#
# Without a file argument the symbols come from the server.

set pagination off
set confirm off

if $_isvoid($exo_fork_limit)
  set $exo_fork_limit = 5
end

# Thread 0: not attached yet.
if $_thread == 0
  python import os
  python gdb.execute("target remote " + os.environ.get("EXOSCOPE", "127.0.0.1:1234"))
end

# `*`: the very first instruction, where the quadword at rsp is the return address. `break sys_fork`
# is as good in this kernel, whose sys_fork has no prologue; in most it is not.
break *sys_fork

set $exo_forks_seen = 0
while $exo_forks_seen < $exo_fork_limit
  continue
  if $_thread == 0
    printf "the guest has ended\n"
    loop_break
  end
  if $pc != (unsigned long) &sys_fork
    printf "stopped elsewhere, at 0x%lx: no further forks are waited for\n", $pc
    loop_break
  end
  set $exo_forks_seen = $exo_forks_seen + 1
  printf "\n=== sys_fork, stop %d of %d: guest pid %d, instruction %ld\n", \
    $exo_forks_seen, $exo_fork_limit, $guest_pid, $icount
  printf "captured  rbx %016lx  rbp %016lx\n", $rbx, (unsigned long) $rbp
  printf "          r12 %016lx  r13 %016lx\n", $r12, $r13
  printf "          r14 %016lx  r15 %016lx\n", $r14, $r15
  printf "          rsp %016lx\n", (unsigned long) $rsp
  printf "returns to "
  output/a *(unsigned long *) $rsp
  printf "\n"
  monitor retaddr
end

printf "\n=== all forks since boot\n"
if $_thread != 0
  monitor forks
  delete
  detach
end
