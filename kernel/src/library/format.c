/*
 * printf's formats as far as the kernel needs them: %s %c %d %u %x %p, l, zero padding and width.
 */
#include "kernel.h"

struct Output {
    char *buffer;
    size_t size, length; /* length may exceed size: then the text was cut */
};

static void put(struct Output *output, char character) {
    if (output->length + 1 < output->size) {
        output->buffer[output->length] = character;
    }
    output->length++;
}

static void put_padded(struct Output *output, const char *text, size_t length, size_t width,
                       char padding) {
    for (size_t i = length; i < width; i++) {
        put(output, padding);
    }
    for (size_t i = 0; i < length; i++) {
        put(output, text[i]);
    }
}

static void put_number(struct Output *output, uint64_t value, unsigned base, bool negative,
                       size_t width, char padding) {
    char digits[24];
    size_t position = sizeof(digits);
    do {
        digits[--position] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    if (negative) {
        digits[--position] = '-';
    }
    put_padded(output, digits + position, sizeof(digits) - position, width, padding);
}

/* Formats one conversion after '%'; returns the text behind it. */
static const char *put_conversion(struct Output *output, const char *format, va_list *arguments) {
    char padding = *format == '0' ? '0' : ' ';
    size_t width = 0;
    while (*format >= '0' && *format <= '9') {
        width = width * 10 + (size_t)(*format++ - '0');
    }
    bool is_long = *format == 'l' || *format == 'z';
    if (is_long) {
        format++;
    }
    char kind = *format++;
    if (kind == 's') {
        const char *text = va_arg(*arguments, const char *);
        put_padded(output, text, strlen(text), width, ' ');
    } else if (kind == 'c') {
        put(output, (char)va_arg(*arguments, int));
    } else if (kind == 'd') {
        int64_t value = is_long ? va_arg(*arguments, int64_t) : va_arg(*arguments, int32_t);
        uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
        put_number(output, magnitude, 10, value < 0, width, padding);
    } else if (kind == 'u' || kind == 'x') {
        uint64_t value = is_long ? va_arg(*arguments, uint64_t) : va_arg(*arguments, uint32_t);
        put_number(output, value, kind == 'u' ? 10 : 16, false, width, padding);
    } else if (kind == 'p') {
        put_number(output, va_arg(*arguments, uint64_t), 16, false, 16, '0');
    } else {
        put(output, kind);
    }
    return format;
}

size_t format_arguments(char *buffer, size_t size, const char *format, va_list arguments) {
    struct Output output = {buffer, size, 0};
    va_list copy;
    va_copy(copy, arguments);
    while (*format != 0) {
        if (*format == '%') {
            format = put_conversion(&output, format + 1, &copy);
        } else {
            put(&output, *format++);
        }
    }
    va_end(copy);
    size_t length = output.length < size ? output.length : size - 1;
    buffer[length] = 0;
    return length;
}

size_t format(char *buffer, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    size_t length = format_arguments(buffer, size, format, arguments);
    va_end(arguments);
    return length;
}
