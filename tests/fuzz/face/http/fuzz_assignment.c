/* Assignments of consumers: whatever a group's leader hands out, the answer is JSON. */
#include "face/http/assignment.h"
#include "wire/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ms_buf out;
    struct ms_json_value value;
    ms_buf_init(&out, (size_t)16 << 20);
    int code = ms_buf_append_u8(&out, '{');
    if (code == 0)
        code =
            ms_http_assignment_write(&out, MS_BYTES_LITERAL("consumer"), ms_bytes_of(data, size));
    if (code == 0)
        code = ms_buf_append_u8(&out, '}');
    MS_ASSERT(code != 0 || ms_json_parse(ms_buf_bytes(&out), 8, &value, NULL) == 0);
    MS_ASSERT(code == 0 || code == MS_ENOMEM || code == MS_ETOOBIG);
    ms_buf_deinit(&out);
    return 0;
}
