/*
 * The parts of librdkafka's driver: rdkafka.c reads and writes, rdkafka_questions.c asks and
 * administers, rdkafka_base64.c is for keys and values. One thread.
 */
#pragma once

#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#define WAIT_MS 10000

struct operation {
    const char *name;
    int (*run)(const json_t *args, json_t **ret_answer); /* 0 or what fail() returned */
};
extern const struct operation rdkafka_questions[]; /* ends with a NULL name */

/* Keeps the sentence that is answered, returns -1; fail_with returns 0 when there is no error. */
int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int fail_with(rd_kafka_resp_err_t err, const char *what);

/* Arguments, or `otherwise` when they were not given. */
const char *text_of(const json_t *args, const char *name, const char *otherwise);
int64_t number_of(const json_t *args, const char *name, int64_t otherwise);

/* Base64 of bytes, null for NULL; and back: the caller frees, NULL for null. */
json_t *encoded(const void *data, size_t length);
void *decoded(const json_t *value, size_t *ret_length);

/* A connected handle for questions, or NULL after fail(). */
rd_kafka_t *any_handle(void);
