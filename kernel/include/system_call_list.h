/*
 * The one list of system calls: Linux's number for x86-64, its name, the handler and what that takes.
 * Numbers, prototypes and the dispatcher's table are made from it; a new one is a line here and a
 * handler in its file of kernel/src/syscall/handlers. Included where SYSTEM_CALL says what is made.
 */
SYSTEM_CALL(0, READ, sys_read, (uint64_t descriptor, uint64_t buffer, uint64_t size))
SYSTEM_CALL(1, WRITE, sys_write, (uint64_t descriptor, uint64_t buffer, uint64_t size))
SYSTEM_CALL(2, OPEN, sys_open, (uint64_t path_address, uint64_t flags))
SYSTEM_CALL(3, CLOSE, sys_close, (uint64_t descriptor))
SYSTEM_CALL(9, MMAP, sys_mmap, (uint64_t address, uint64_t size, uint64_t protection, uint64_t flags))
SYSTEM_CALL(11, MUNMAP, sys_munmap, (uint64_t address, uint64_t size))
SYSTEM_CALL(12, BRK, sys_brk, (uint64_t wanted))
SYSTEM_CALL(24, SCHED_YIELD, sys_sched_yield, (void))
SYSTEM_CALL(35, NANOSLEEP, sys_nanosleep, (uint64_t request))
SYSTEM_CALL(39, GETPID, sys_getpid, (void))
SYSTEM_CALL(57, FORK, sys_fork, (void))
SYSTEM_CALL(58, VFORK, sys_vfork, (void))
SYSTEM_CALL(59, EXECVE, sys_execve, (uint64_t path_address, uint64_t argv))
SYSTEM_CALL(60, EXIT, sys_exit, (uint64_t status))
SYSTEM_CALL(61, WAIT4, sys_wait4, (uint64_t pid, uint64_t status, uint64_t options))
SYSTEM_CALL(62, KILL, sys_kill, (uint64_t pid, uint64_t signal))
SYSTEM_CALL(63, UNAME, sys_uname, (uint64_t buffer))
SYSTEM_CALL(110, GETPPID, sys_getppid, (void))
SYSTEM_CALL(158, ARCH_PRCTL, sys_arch_prctl, (uint64_t code, uint64_t address))
SYSTEM_CALL(186, GETTID, sys_gettid, (void))
SYSTEM_CALL(231, EXIT_GROUP, sys_exit, (uint64_t status))
