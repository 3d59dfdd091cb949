/* Keys and values of librdkafka's driver, which come and go as base64. Any thread. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "rdkafka.h"

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

json_t *encoded(const void *data, size_t length) {
    if (!data)
        return json_null();
    const unsigned char *bytes = data;
    char *text = malloc(length / 3 * 4 + 5), *out = text;
    for (size_t i = 0; i < length; i += 3) {
        unsigned group = (unsigned)bytes[i] << 16;
        if (i + 1 < length)
            group |= (unsigned)bytes[i + 1] << 8;
        if (i + 2 < length)
            group |= bytes[i + 2];
        *out++ = DIGITS[group >> 18];
        *out++ = DIGITS[group >> 12 & 63];
        *out++ = i + 1 < length ? DIGITS[group >> 6 & 63] : '=';
        *out++ = i + 2 < length ? DIGITS[group & 63] : '=';
    }
    json_t *value = json_stringn(text, (size_t)(out - text));
    free(text);
    return value;
}

void *decoded(const json_t *value, size_t *ret_length) {
    *ret_length = 0;
    if (!json_is_string(value))
        return NULL;
    const char *text = json_string_value(value);
    unsigned char *bytes = malloc(json_string_length(value) / 4 * 3 + 1);
    unsigned group = 0, bits = 0;
    for (; *text && *text != '='; text++) {
        group = group << 6 | (unsigned)(strchr(DIGITS, *text) - DIGITS);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes[(*ret_length)++] = (unsigned char)(group >> bits);
        }
    }
    return bytes;
}
