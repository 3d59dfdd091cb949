/* Answers as gathered writes: every way of being sent in pieces gives the same bytes, and each
 * slice is released when it is sent. */
#include "face/kafka/output.h"
#include "kafka_cmocka.h"

#define TEXT "head.aabbb-cc=tail"

static unsigned released;
static void release(struct ms_blob *blob) {
    (void)blob;
    released++;
}

struct sample {
    struct ms_blob blobs[5];
    struct ms_slice slices[5];
    struct ms_kafka_records records[3];
    struct ms_kafka_cut cuts[3];
    struct ms_kafka_output output;
};

static void fill(struct sample *sample) {
    static const char *const texts[5] = {"aa", "", "bbb", "cc", ""};
    *sample = (struct sample){0};
    for (int i = 0; i < 5; i++) {
        sample->blobs[i] = (struct ms_blob){.refs = 1, .release = release};
        sample->slices[i] = (struct ms_slice){&sample->blobs[i], ms_bytes_cstr(texts[i])};
    }
    sample->records[0] = (struct ms_kafka_records){.slices = sample->slices, .slice_count = 3};
    sample->records[1] = (struct ms_kafka_records){.slices = NULL, .slice_count = 0};
    sample->records[2] = (struct ms_kafka_records){.slices = sample->slices + 3, .slice_count = 2};
    sample->cuts[0] = (struct ms_kafka_cut){5, &sample->records[0]};
    sample->cuts[1] = (struct ms_kafka_cut){6, &sample->records[1]};
    sample->cuts[2] = (struct ms_kafka_cut){6, &sample->records[2]};
    static uint8_t head[] = "head.-=tail";
    sample->output.head = (struct ms_buf){.data = head, .len = sizeof head - 1};
    sample->output.cuts = sample->cuts;
    sample->output.cut_count = 3;
    sample->output.slice_bytes = 7;
    released = 0;
}

/* Sends up to `step` bytes at a time from at most `pieces` pieces. */
static void send_in_steps(size_t step, int pieces) {
    struct sample sample;
    fill(&sample);
    struct ms_kafka_sending sending = {0};
    char out[64];
    size_t len = 0;
    for (;;) {
        struct iovec iov[8];
        int count = ms_kafka_output_pieces(&sample.output, &sending, iov, pieces);
        if (count == 0)
            break;
        size_t now = 0;
        for (int i = 0; i < count && now < step; i++) {
            size_t part = iov[i].iov_len < step - now ? iov[i].iov_len : step - now;
            assert_true(part > 0 && len + part <= sizeof out);
            memcpy(out + len, iov[i].iov_base, part);
            len += part;
            now += part;
        }
        assert_int_equal(ms_kafka_output_sent(&sample.output, &sending, now), now);
    }
    assert_int_equal(len, strlen(TEXT));
    assert_memory_equal(out, TEXT, len);
    for (int i = 0; i < 5; i++)
        ms_slice_unref(&sample.slices[i]); /* as the request does with those of no bytes */
    assert_int_equal(released, 5);
}

static void every_way_of_sending_gives_the_same_bytes(void **state) {
    (void)state;
    for (size_t step = 1; step <= strlen(TEXT); step++)
        for (int pieces = 1; pieces <= 8; pieces++)
            send_in_steps(step, pieces);
}

static void slices_are_released_as_they_are_sent(void **state) {
    (void)state;
    struct sample sample;
    fill(&sample);
    struct ms_kafka_sending sending = {0};
    assert_int_equal(ms_kafka_output_bytes(&sample.output), strlen(TEXT));
    assert_int_equal(ms_kafka_output_sent(&sample.output, &sending, 6), 6);
    assert_int_equal(released, 0);
    assert_int_equal(ms_kafka_output_sent(&sample.output, &sending, 1), 1);
    assert_null(sample.slices[0].blob);
    assert_int_equal(released, 1);
    assert_int_equal(ms_kafka_output_sent(&sample.output, &sending, 3), 3);
    assert_null(sample.slices[2].blob);
    assert_non_null(sample.slices[3].blob);
}

static void what_is_beyond_the_end_is_the_next_answers(void **state) {
    (void)state;
    struct sample sample;
    fill(&sample);
    struct ms_kafka_sending sending = {0};
    size_t all = strlen(TEXT);
    assert_int_equal(ms_kafka_output_sent(&sample.output, &sending, all + 10), all);
    struct iovec iov;
    assert_int_equal(ms_kafka_output_pieces(&sample.output, &sending, &iov, 1), 0);
    assert_int_equal(ms_kafka_output_sent(&sample.output, &sending, 10), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_of_sending_gives_the_same_bytes),
        cmocka_unit_test(slices_are_released_as_they_are_sent),
        cmocka_unit_test(what_is_beyond_the_end_is_the_next_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
