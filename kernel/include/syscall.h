/* System calls: Linux's numbers, arguments and error numbers for x86-64. */
#ifndef SYSCALL_H
#define SYSCALL_H

#include <stdint.h>

#include "system_call_numbers.h"

/*
 * A handler takes the arguments it has, from none to six. The dispatcher passes all six
 * registers, and the ABI lets a function ignore what it was not declared with; hence no prototype
 * here.
 */
typedef int64_t (*SystemCall)();

void syscall_entry(void); /* LSTAR */

int64_t sys_read(uint64_t descriptor, uint64_t buffer, uint64_t size);
int64_t sys_write(uint64_t descriptor, uint64_t buffer, uint64_t size);
int64_t sys_open(uint64_t path_address, uint64_t flags);
int64_t sys_close(uint64_t descriptor);
int64_t sys_mmap(uint64_t address, uint64_t size, uint64_t protection, uint64_t flags);
int64_t sys_munmap(uint64_t address, uint64_t size);
int64_t sys_brk(uint64_t wanted);
int64_t sys_sched_yield(void);
int64_t sys_nanosleep(uint64_t request);
int64_t sys_getpid(void);
int64_t sys_fork(void);
int64_t sys_vfork(void);
int64_t sys_execve(uint64_t path_address, uint64_t argv);
int64_t sys_exit(uint64_t status);
int64_t sys_wait4(uint64_t pid, uint64_t status, uint64_t options);
int64_t sys_kill(uint64_t pid, uint64_t signal);
int64_t sys_uname(uint64_t buffer);
int64_t sys_getppid(void);
int64_t sys_arch_prctl(uint64_t code, uint64_t address);
int64_t sys_gettid(void);

#endif
