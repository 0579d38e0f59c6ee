/* /bin/tests.elf: the process tests in ring 3. */
#include "process_tests.h"
#include "user.h"

int main(int argument_count, char **arguments) {
    (void)argument_count;
    (void)arguments;
    return process_tests_run("ring-3") == 0 ? 0 : 1;
}
