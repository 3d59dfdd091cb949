/*
 * What the handlers that administer topics share. Any thread that has the request.
 */
#pragma once

#include "face/kafka/errors.h"
#include "face/kafka/request.h"

/* Of a change of a topic that was refused: what is senseless is a config. */
enum ms_kafka_error ms_kafka_topic_error_of(int code);

/* The sentence, in the request's arena; absent when there is none, or no memory for it. */
struct ms_bytes ms_kafka_sentence(struct ms_kafka_request *request, const struct ms_error *err);

/* Marks each of the names that is there more than once. NULL: no memory. */
bool *ms_kafka_repeated(struct ms_kafka_request *request, const struct ms_bytes *names,
                        size_t count);

/* After a reader's work: answers with what is in request->context, or closes the connection when
 * that is NULL. */
void ms_kafka_answer_context(struct ms_kafka_request *request);

/* An array of as many zeroed places as a decoded array has (null: none), and one more. NULL: no
 * memory. */
void *ms_kafka_places(struct ms_kafka_request *request, int32_t count, size_t size);
