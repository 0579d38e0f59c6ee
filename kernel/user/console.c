/* /bin/console.elf: reads lines from the serial console and does one of a few things. */
#include "kernel.h"
#include "user.h"

#define LINE_LENGTH 64

static void say(const char *text) {
    system_call(SYS_WRITE, 1, (uint64_t)text, strlen(text), 0, 0, 0);
}

static int64_t run(void (*child)(void)) {
    int32_t status = -1;
    int64_t pid = system_call(SYS_FORK, 0, 0, 0, 0, 0, 0);
    if (pid == 0) {
        child();
        system_call(SYS_EXIT, 1, 0, 0, 0, 0, 0);
    }
    system_call(SYS_WAIT4, (uint64_t)pid, (uint64_t)&status, 0, 0, 0, 0);
    return status;
}

static void execute_hello(void) {
    system_call(SYS_EXECVE, (uint64_t) "/tmp/hello.elf", 0, 0, 0, 0, 0);
}

static void read_null(void) {
    (void)*(volatile int *)8;
}

static void hello(void) {
    run(execute_hello);
}

static void crash(void) {
    char line[LINE_LENGTH];
    size_t length = format(line, sizeof(line), "the child's wait status is %d\n",
                           (int)run(read_null));
    system_call(SYS_WRITE, 1, (uint64_t)line, length, 0, 0, 0);
}

static void pid(void) {
    char line[LINE_LENGTH];
    format(line, sizeof(line), "pid %ld, parent %ld\n",
           system_call(SYS_GETPID, 0, 0, 0, 0, 0, 0), system_call(SYS_GETPPID, 0, 0, 0, 0, 0, 0));
    say(line);
}

static void help(void);

static const struct {
    const char *name, *text;
    void (*run)(void);
} commands[] = {
    {"help", "lists the commands", help},
    {"hello", "forks and executes /tmp/hello.elf", hello},
    {"crash", "forks a child that reads address 8", crash},
    {"pid", "says who this is", pid},
};

static void help(void) {
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        say(commands[i].name);
        say(": ");
        say(commands[i].text);
        say("\n");
    }
}

static void execute(const char *line) {
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        if (strcmp(line, commands[i].name) == 0) {
            commands[i].run();
            return;
        }
    }
    if (line[0] != 0) {
        say("unknown command; try help\n");
    }
}

/* Echoes what comes in, since a serial terminal does not; a line that is too long is cut. */
static void read_line(char *line) {
    size_t length = 0;
    char byte = 0;
    while (system_call(SYS_READ, 0, (uint64_t)&byte, 1, 0, 0, 0) == 1) {
        if (byte == '\r' || byte == '\n') {
            break;
        }
        system_call(SYS_WRITE, 1, (uint64_t)&byte, 1, 0, 0, 0);
        if ((byte == '\b' || byte == 0x7f) && length > 0) {
            length--;
        } else if (length < LINE_LENGTH - 1) {
            line[length++] = byte;
        }
    }
    say("\n");
    line[length] = 0;
}

int main(int argument_count, char **arguments) {
    (void)argument_count;
    (void)arguments;
    char line[LINE_LENGTH];
    for (;;) {
        read_line(line);
        execute(line);
    }
}
