/*
 * A guest that trusts the ACPI tables alone: it finds the I/O APIC and the PIT's input in the MADT, counts
 * ticks that come that way with the 8259s masked, sees them stop when the input is masked, counts those of
 * the HPET in the PIT's place, and switches the PC off with what FADT and DSDT say. Multiboot 1, 32-bit, no
 * paging. It prints nothing that one PC may have otherwise than another (ACPI 6.5 5.2, 7.4.2; Intel 82093AA;
 * SDM 3A 11; IA-PC HPET 1.0a).
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define TICK_VECTOR 0x30
#define TICKS 25
#define PIT_100_HZ 11932
#define PM_TIMER_50_MS (3579545 / 20)
#define MASKED 0x10000
#define HPET_ENABLED_LEGACY 3
#define HPET_ONE_SHOT 0x104 /* interrupts, 32 bits */
#define HPET_PERIODIC 0x14c /* the same, and the next write is the first match */
#define SLP_EN 0x2000

__asm__(
    ".section .multiboot, \"ax\"\n"
    ".long 0x1badb002, 0, -0x1badb002\n"
    ".globl _start\n"
    "_start: mov $stack_top, %esp\n"
    "  lgdt gdt_pointer\n"
    "  ljmp $8, $1f\n"
    "1: mov $16, %eax\n"
    "  mov %eax, %ds\n"
    "  mov %eax, %es\n"
    "  mov %eax, %ss\n"
    "  call guest\n"
    "  hlt\n"
    ".data\n"
    ".balign 8\n"
    "gdt: .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff\n"
    "gdt_pointer: .word . - gdt - 1\n"
    "  .long gdt\n"
    ".bss\n"
    ".balign 16\n"
    "  .zero 4096\n"
    "stack_top:\n"
    ".text\n");

struct table {
    char signature[4];
    u32 length;
    u8 rest[28];
};

static void out8(u16 port, u8 value) { __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port)); }
static void out16(u16 port, u16 value) { __asm__ volatile("outw %0, %1" ::"a"(value), "Nd"(port)); }

static u8 in8(u16 port) {
    u8 value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static u32 in32(u16 port) {
    u32 value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void say(const char *text) {
    for (; *text != 0; text++) {
        while ((in8(0x3f8 + 5) & 0x20) == 0) {}
        out8(0x3f8, (u8)*text);
    }
}

static void say_number(const char *before, u32 value, const char *after) {
    char digits[11], *at = digits + 10;
    *at = 0;
    do *--at = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    say(before);
    say(at);
    say(after);
}

static int is_same(const void *left, const char *right, u32 length) {
    for (u32 index = 0; index < length; index++) {
        if (((const char *)left)[index] != right[index]) return 0;
    }
    return 1;
}

static u32 read32(const void *place) { return *(const volatile u32 *)place; }

static void stand_still(void) {
    for (;;) __asm__ volatile("cli; hlt");
}

static void give_up(const char *what) {
    say("no ");
    say(what);
    say("\n");
    stand_still();
}

/* All bytes of a table add up to 0. */
static void expect_sum(const void *table, u32 length, const char *what) {
    u8 sum = 0;
    for (u32 index = 0; index < length; index++) sum += ((const u8 *)table)[index];
    if (sum != 0) give_up(what);
}

static const struct table *rsdt(void) {
    for (u32 at = 0xe0000; at < 0x100000; at += 16) {
        if (!is_same((void *)at, "RSD PTR ", 8)) continue;
        expect_sum((void *)at, 20, "sum of the RSDP");
        return (const struct table *)read32((void *)(at + 16));
    }
    give_up("RSDP");
    return 0;
}

static const u8 *find_table(const char *signature) {
    const struct table *root = rsdt();
    for (u32 entry = 0; entry < (root->length - 36) / 4; entry++) {
        const struct table *found = (const struct table *)read32((u8 *)root + 36 + 4 * entry);
        if (!is_same(found->signature, signature, 4)) continue;
        expect_sum(found, found->length, signature);
        say(signature);
        say("\n");
        return (const u8 *)found;
    }
    give_up(signature);
    return 0;
}

/* The place of the MADT's first entry of a type behind `from`, or 0. */
static const u8 *madt_entry(const u8 *madt, u8 type, u32 from) {
    for (u32 at = from; at < read32(madt + 4); at += madt[at + 1]) {
        if (madt[at] == type) return madt + at;
    }
    return 0;
}

/* The I/O APIC's input of an ISA interrupt: its own number where no override says otherwise. */
static u32 input_of_irq(const u8 *madt, u8 irq) {
    const u8 *entry = madt_entry(madt, 2, 44);
    for (; entry != 0; entry = madt_entry(madt, 2, (u32)(entry - madt) + entry[1])) {
        if (entry[3] == irq) return read32(entry + 4);
    }
    return irq;
}

/* SLP_TYPa of S5: the first element of the package named _S5_. */
static u32 sleep_type(const u8 *dsdt) {
    for (u32 at = 36; at + 8 < read32(dsdt + 4); at++) {
        if (!is_same(dsdt + at, "_S5_", 4) || dsdt[at + 4] != 0x12) continue;
        const u8 *element = dsdt + at + 5 + (dsdt[at + 5] >> 6) + 2;
        return *element == 0x0a ? element[1] : *element & 1; /* BytePrefix, ZeroOp, OneOp */
    }
    give_up("_S5_");
    return 0;
}

static volatile u32 *local_apic, *io_apic;
static volatile u32 ticks;

static u32 io_apic_read(u32 index) {
    io_apic[0] = index;
    return io_apic[4];
}

static void io_apic_write(u32 index, u32 value) {
    io_apic[0] = index;
    io_apic[4] = value;
}

struct frame;
__attribute__((interrupt)) static void tick(struct frame *frame) {
    (void)frame;
    ticks++;
    local_apic[0xb0 / 4] = 0; /* EOI */
}

static u64 idt[TICK_VECTOR + 1];

static void enable_interrupts(void) {
    struct { u16 limit; u32 base; } __attribute__((packed)) pointer = {sizeof idt - 1, (u32)idt};
    u32 handler = (u32)tick;
    idt[TICK_VECTOR] = (u64)(handler >> 16) << 48 | 0x8e0000080000ull | (handler & 0xffff);
    __asm__ volatile("lidt %0" ::"m"(pointer));
    out8(0x21, 0xff);
    out8(0xa1, 0xff);
    local_apic[0xf0 / 4] = 0x1ff; /* enabled, spurious vector 0xff */
    local_apic[0x80 / 4] = 0;     /* all priorities */
    __asm__ volatile("sti");
}

static void wait_by_pm_timer(u16 port, u32 clocks) {
    u32 start = in32(port);
    while (((in32(port) - start) & 0xffffff) < clocks) {}
}

static void count_to(u32 last, const char *after) {
    for (u32 told = ticks = 0; told < last;) {
        __asm__ volatile("hlt");
        for (; told < ticks && told < last; told++) {
            if ((told + 1) % 5 == 0) say_number("", told + 1, after);
        }
    }
}

/* Timer 0 in the PIT's place: fifteen times 5 ms, then once. */
static void use_hpet(volatile u32 *hpet, u32 input, u16 pm_timer) {
    say_number("HPET of ", 1000000000 / (hpet[1] / 1000000), " Hz");
    say_number(" with ", (hpet[0] >> 8 & 0x1f) + 1, " timers\n");
    u32 period = 5000000 / (hpet[1] / 1000000);
    hpet[0xf0 / 4] = hpet[0xf4 / 4] = 0;
    hpet[0x100 / 4] = HPET_PERIODIC;
    hpet[0x108 / 4] = period;
    hpet[0x108 / 4] = period;
    hpet[0x10 / 4] = HPET_ENABLED_LEGACY;
    io_apic_write(0x10 + 2 * input, TICK_VECTOR);
    count_to(15, " ticks of the HPET\n");
    if (hpet[0xf0 / 4] < 15 * period) give_up("time for so many ticks");
    hpet[0x100 / 4] = 0;
    ticks = 0;
    hpet[0x100 / 4] = HPET_ONE_SHOT;
    hpet[0x108 / 4] = hpet[0xf0 / 4] + period;
    wait_by_pm_timer(pm_timer, PM_TIMER_50_MS);
    say_number("once: ", ticks, " in 50 ms\n");
    io_apic_write(0x10 + 2 * input, MASKED | TICK_VECTOR);
    hpet[0x10 / 4] = 0;
}

void guest(void) {
    const u8 *fadt = find_table("FACP"), *madt = find_table("APIC");
    const u8 *io = madt_entry(madt, 1, 44);
    local_apic = (volatile u32 *)read32(madt + 36);
    if (io == 0) give_up("I/O APIC");
    io_apic = (volatile u32 *)read32(io + 4);
    u32 input = input_of_irq(madt, 0) - read32(io + 8);
    say_number("I/O APIC with ", (io_apic_read(1) >> 16 & 0xff) + 1, " inputs\n");
    say_number("the PIT is input ", input, "\n");

    enable_interrupts();
    out8(0x43, 0x34); /* channel 0, rate generator */
    out8(0x40, PIT_100_HZ & 0xff);
    out8(0x40, PIT_100_HZ >> 8);
    io_apic_write(0x11 + 2 * input, local_apic[0x20 / 4] & 0xff000000);
    io_apic_write(0x10 + 2 * input, TICK_VECTOR);
    count_to(TICKS, " ticks\n");
    io_apic_write(0x10 + 2 * input, MASKED | TICK_VECTOR);
    u32 counted = ticks;
    u16 pm_timer = (u16)read32(fadt + 76);
    wait_by_pm_timer(pm_timer, PM_TIMER_50_MS);
    say_number("masked: ", ticks - counted, " more in 50 ms\n");
    use_hpet((volatile u32 *)read32(find_table("HPET") + 44), input, pm_timer);

    const u8 *dsdt = (const u8 *)read32(fadt + 40);
    expect_sum(dsdt, read32(dsdt + 4), "sum of the DSDT");
    u16 control = (u16)read32(fadt + 64);
    u32 type = sleep_type(dsdt);
    say_number("S5 is type ", type, "\n");
    out16(control, (u16)(type << 10 | SLP_EN));
    stand_still(); /* QEMU lets a few instructions pass before it ends */
}
