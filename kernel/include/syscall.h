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

#define SYSTEM_CALL(number, name, handler, parameters) int64_t handler parameters;
#include "system_call_list.h"
#undef SYSTEM_CALL

#endif
