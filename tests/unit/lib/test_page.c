/* Pages: what is copied out of a read is whole, and pages end where they should. */
#include "lib/library.h"

#include "base/alloc.h"

static struct ms_read_event event_at(int64_t version, const char *data, size_t size) {
    return (struct ms_read_event){
        .event = {.id = ms_bytes_cstr("id"),
                  .type = ms_bytes_cstr("type"),
                  .source = ms_bytes_cstr("source"),
                  .data = ms_bytes_of(data, size)},
        .place = {.stream = ms_bytes_cstr("order-1"),
                  .topic = ms_bytes_cstr("order"),
                  .key = ms_bytes_cstr("1"),
                  .version = version,
                  .position = (uint64_t)version + 100},
    };
}

static void events_are_copied_whole(void **state) {
    (void)state;
    struct ms_lib_page page = {0};
    char data[] = "payload", id[] = "id-1";
    struct ms_extension extension = {ms_bytes_cstr("name"), ms_bytes_cstr("value")};
    struct ms_read_event event = event_at(0, data, sizeof data - 1);
    event.event.id = ms_bytes_cstr(id);
    event.event.extensions = &extension;
    event.event.extension_count = 1;
    assert_int_equal(ms_lib_page_reset(&page, 4096), 0);
    assert_int_equal(ms_lib_page_take(&page, &event), 0);
    memset(data, '?', sizeof data);
    memset(id, '?', sizeof id);
    extension = (struct ms_extension){0};
    assert_int_equal(page.count, 1);
    const struct mainstem_recorded_event *copy = &page.events[0];
    assert_bytes(copy->event.data, "payload");
    assert_bytes(copy->event.id, "id-1");
    assert_bytes(copy->event.correlation_id, "id-1");
    assert_bytes(copy->event.extensions[0].name, "name");
    assert_bytes(copy->event.extensions[0].value, "value");
    assert_bytes(copy->stream, "order-1");
    assert_int_equal(copy->position, 100);
    assert_null(copy->event.metadata.data);
    ms_lib_page_deinit(&page);
}

static void a_stream_name_is_copied_once_for_a_run(void **state) {
    (void)state;
    struct ms_lib_page page = {0};
    struct ms_read_event event = event_at(0, "x", 1);
    assert_int_equal(ms_lib_page_reset(&page, 4096), 0);
    assert_int_equal(ms_lib_page_take(&page, &event), 0);
    assert_int_equal(ms_lib_page_take(&page, &event), 0);
    event.place.stream = ms_bytes_cstr("order-2");
    assert_int_equal(ms_lib_page_take(&page, &event), 0);
    assert_ptr_equal(page.events[0].stream.data, page.events[1].stream.data);
    assert_bytes(page.events[2].stream, "order-2");
    ms_lib_page_deinit(&page);
}

static void a_full_page_takes_one_more_event_and_ends(void **state) {
    (void)state;
    struct ms_lib_page page = {0};
    static char large[100000];
    memset(large, 'x', sizeof large);
    struct ms_read_event small = event_at(0, "x", 1), big = event_at(1, large, sizeof large);
    assert_int_equal(ms_lib_page_reset(&page, 4096), 0);
    assert_int_equal(ms_lib_page_take(&page, &small), 0);
    assert_int_equal(ms_lib_page_take(&page, &big), 1);
    assert_int_equal(page.count, 2);
    assert_int_equal(page.events[1].event.data.size, sizeof large);
    assert_memory_equal(page.events[1].event.data.data, large, sizeof large);
    assert_bytes(page.events[1].stream, "order-1");
    /* The large one's memory is not kept. */
    assert_int_equal(ms_lib_page_reset(&page, 4096), 0);
    assert_null(page.large);
    assert_int_equal(page.count, 0);
    ms_lib_page_deinit(&page);
}

static void the_number_of_events_is_bounded(void **state) {
    (void)state;
    struct ms_lib_page page = {0};
    struct ms_read_event event = event_at(0, "x", 1);
    int rc = 0;
    size_t taken = 0;
    assert_int_equal(ms_lib_page_reset(&page, 1 << 20), 0);
    while (rc == 0) {
        rc = ms_lib_page_take(&page, &event);
        taken++;
    }
    assert_int_equal(rc, 1);
    assert_int_equal(taken, 1024);
    assert_int_equal(page.count, 1024);
    ms_lib_page_deinit(&page);
}

static void every_failed_allocation_is_told(void **state) {
    (void)state;
    static char large[5000];
    struct ms_read_event small = event_at(0, "x", 1), big = event_at(1, large, sizeof large);
    int rc = MS_ENOMEM;
    for (uint64_t n = 1; rc != 1; n++) {
        struct ms_lib_page page = {0};
        ms_alloc_fail_nth(n);
        rc = ms_lib_page_reset(&page, 4096);
        for (int i = 0; rc == 0 && i < 17; i++)
            rc = ms_lib_page_take(&page, &small);
        if (rc == 0)
            rc = ms_lib_page_take(&page, &big);
        ms_alloc_fail_nth(0);
        assert_true(rc == 1 || rc == MS_ENOMEM);
        ms_lib_page_deinit(&page);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_copied_whole),
        cmocka_unit_test(a_stream_name_is_copied_once_for_a_run),
        cmocka_unit_test(a_full_page_takes_one_more_event_and_ends),
        cmocka_unit_test(the_number_of_events_is_bounded),
        cmocka_unit_test(every_failed_allocation_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
