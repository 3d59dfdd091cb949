/* What a server tells of projections, for the commands that show and change them. One thread. */
#pragma once

#include "cli/output.h"
#include "cli/target.h"

/* Only a server knows projections: a data directory is not even opened. */
int ms_projection_server(struct ms_invocation *invocation, struct ms_target **ret_target,
                         struct ms_error *err) MS_MUST_CHECK;

/* Asks for one object; it lives in *text, whose old content is gone. */
int ms_projection_ask(struct ms_target *target, const struct ms_target_projection *request,
                      struct ms_buf *text, struct ms_json_value *ret_object, struct ms_error *err)
    MS_MUST_CHECK;
/* A member of it that is an array. MS_EIO: it has none. */
int ms_projection_array(struct ms_json_value object, const char *member,
                        struct ms_json_value *ret_array, struct ms_error *err) MS_MUST_CHECK;

/* Appends its versions to a table's rows, "[…" so far, each with the projection's name. */
int ms_projection_add_rows(struct ms_buf *rows, struct ms_json_value projection) MS_MUST_CHECK;
/* Closes the rows and prints them. */
int ms_projection_print_rows(struct ms_output *output, struct ms_buf *rows,
                             const struct ms_output_column *columns, size_t column_count)
    MS_MUST_CHECK;

/* One version of a projection, from what the server tells of it. */
struct ms_projection_state {
    struct ms_bytes role, state;
    struct ms_json_value error; /* a string, or null */
    uint64_t version, position, end, error_position;
    double rate;
};
/* Texts are borrowed from the value. MS_EIO. */
int ms_projection_read_state(struct ms_json_value version, struct ms_projection_state *ret_state,
                             struct ms_error *err) MS_MUST_CHECK;
