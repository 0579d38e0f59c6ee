/* /bin/worker.elf: what init forks every second. Works a little, ends. */
#include "user.h"

#define ROUNDS 1000

static uint64_t next_random(uint64_t value) {
    return value * 6364136223846793005ull + 1442695040888963407ull;
}

int main(int argument_count, char **arguments) {
    (void)argument_count;
    (void)arguments;
    uint64_t value = (uint64_t)system_call(SYS_GETPID, 0, 0, 0, 0, 0, 0);
    for (int i = 0; i < ROUNDS; i++) {
        value = next_random(value);
    }
    return value == 0;
}
