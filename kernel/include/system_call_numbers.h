/* Linux's numbers for x86-64, shared with the ring-3 programs and the tests. */
#ifndef SYSTEM_CALL_NUMBERS_H
#define SYSTEM_CALL_NUMBERS_H

#ifdef __ASSEMBLER__
#define SYSTEM_CALL(number, name, handler, parameters) .equ SYS_##name, number
#include "system_call_list.h"
#else
enum {
#define SYSTEM_CALL(number, name, handler, parameters) SYS_##name = number,
#include "system_call_list.h"
};
#endif
#undef SYSTEM_CALL

#define EPERM 1
#define ENOENT 2
#define ESRCH 3
#define EINTR 4
#define E2BIG 7
#define ENOEXEC 8
#define EBADF 9
#define ECHILD 10
#define EAGAIN 11
#define ENOMEM 12
#define EACCES 13
#define EFAULT 14
#define EEXIST 17
#define EISDIR 21
#define EINVAL 22
#define EMFILE 24
#define EFBIG 27
#define ENAMETOOLONG 36
#define ENOSYS 38

#define SIGILL 4
#define SIGTRAP 5
#define SIGBUS 7
#define SIGFPE 8
#define SIGKILL 9
#define SIGSEGV 11
#define SIGTERM 15

#define O_WRONLY 1
#define O_RDWR 2
#define O_CREAT 0100
#define O_EXCL 0200
#define O_TRUNC 01000
#define O_APPEND 02000

#define PROT_READ 1
#define PROT_WRITE 2
#define PROT_EXEC 4
#define MAP_SHARED 0x01
#define MAP_PRIVATE 0x02
#define MAP_FIXED 0x10
#define MAP_ANONYMOUS 0x20

#define WNOHANG 1
#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003
#define ARCH_GET_GS 0x1004

#endif
