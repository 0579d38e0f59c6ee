/* How the machine ends: by QEMU's isa-debug-exit device at port 0xf4, or by halting for ever. */
#include "boot.h"
#include "cpu.h"
#include "drivers.h"
#include "kernel.h"

#define DEBUG_EXIT_PORT 0xf4

_Noreturn void machine_exit(uint8_t status) {
    serial_drain();
    write_port8(DEBUG_EXIT_PORT, status);
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

_Noreturn void panic(const char *format, ...) {
    char text[256];
    va_list arguments;
    interrupts_disable();
    va_start(arguments, format);
    format_arguments(text, sizeof(text), format, arguments);
    va_end(arguments);
    print("[PANIC] %s\n", text);
    serial_drain();
    if (boot_information.run_tests_and_exit) {
        machine_exit(2);
    }
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}
