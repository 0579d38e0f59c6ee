/* /tmp/hello.elf: says hello and ends. */
#include "user.h"

static const char text[] = "Hello from execve!\n";

int main(int argument_count, char **arguments) {
    (void)argument_count;
    (void)arguments;
    system_call(SYS_WRITE, 1, (uint64_t)text, sizeof(text) - 1, 0, 0, 0);
    return 0;
}
