/* Commands, their options, and one invocation of a command. See cli.h. */
#pragma once

#include "base/arena.h"
#include "cli/cli.h"
#include "server/config.h"

struct ms_invocation;

struct ms_option {
    const char *name;     /* without dashes */
    const char *argument; /* NULL: a switch */
    const char *help;
};

enum {
    MS_COMMAND_TARGET = 1,   /* --server, --data: a server or a data directory */
    MS_COMMAND_JSON = 2,     /* --json */
    MS_COMMAND_SETTINGS = 4, /* every setting of the server is an option */
};

struct ms_command {
    const char *name;                /* "append", "stream show" */
    const char *arguments;           /* "STREAM TYPE [DATA]" */
    const char *summary;             /* one line */
    const char *details;             /* paragraphs for help and manual, or NULL */
    const struct ms_option *options; /* ends with a NULL name; NULL: none */
    const char *example;             /* a command line, or NULL */
    size_t args_min, args_max;
    unsigned traits;
    int (*run)(struct ms_invocation *invocation);
};

extern const struct ms_command ms_commands[];
extern const size_t ms_command_count;
/* The options that traits stand for; each ends with a NULL name. */
extern const struct ms_option ms_target_options[], ms_json_options[], ms_help_options[];

#define MS_ARGS_MAX 72 /* a query, its 64 parameters and those that every query has */
#define MS_OPTIONS_MAX 64
#define MS_INVOCATION_BYTES_MAX ((size_t)256 << 20)

struct ms_given_option {
    const struct ms_option *option;
    const char *value; /* NULL for a switch */
};

struct ms_invocation {
    struct ms_cli *cli;
    const struct ms_command *command; /* NULL: none was named */
    const char *args[MS_ARGS_MAX];
    size_t arg_count;
    struct ms_given_option given[MS_OPTIONS_MAX];
    size_t given_count;
    struct ms_config_flag flags[MS_OPTIONS_MAX];
    size_t flag_count;
    bool help;
    struct ms_arena arena;
};

/* argv without the program's name. MS_EINVAL says what is wrong with the command line. */
int ms_args_parse(struct ms_invocation *invocation, int argc, const char *const *argv,
                  struct ms_error *err) MS_MUST_CHECK;

/* The last value given; NULL when it was not given (a switch: ""). The option must be one of the
 * command's. */
const char *ms_option_text(const struct ms_invocation *invocation, const char *name);
bool ms_option_given(const struct ms_invocation *invocation, const char *name);
/* Every value of a repeatable option, in the invocation's arena. MS_ENOMEM. */
int ms_option_list(struct ms_invocation *invocation, const char *name, struct ms_bytes **ret_values,
                   size_t *ret_count) MS_MUST_CHECK;
/* Leaves *value as it is when the option was not given. MS_EINVAL names the option and limits. */
int ms_option_u64(const struct ms_invocation *invocation, const char *name, uint64_t min,
                  uint64_t max, uint64_t *value, struct ms_error *err) MS_MUST_CHECK;

/* Prints what is wrong with how the command was called, and where help is; MS_EXIT_USAGE. */
int ms_usage(struct ms_invocation *invocation, const char *format, ...) MS_PRINTF(2, 3);
/* JSON lines are wanted: --json, or the output is no terminal. */
bool ms_wants_json(const struct ms_invocation *invocation);

/* ---- help.c, man.c ---- */

/* Help of everything, or of one command; appended to *out. */
int ms_help_all(struct ms_buf *out) MS_MUST_CHECK;
int ms_help_command(const struct ms_command *command, struct ms_buf *out) MS_MUST_CHECK;
/* docs/man/mainstem.1 */
int ms_man_page(struct ms_buf *out) MS_MUST_CHECK;

/* ---- the commands ---- */

int ms_cmd_serve(struct ms_invocation *invocation);
int ms_cmd_append(struct ms_invocation *invocation);
int ms_cmd_read(struct ms_invocation *invocation);
int ms_cmd_tail(struct ms_invocation *invocation);
int ms_cmd_stream_show(struct ms_invocation *invocation);
int ms_cmd_stream_delete(struct ms_invocation *invocation);
int ms_cmd_stream_metadata(struct ms_invocation *invocation);
int ms_cmd_topic_list(struct ms_invocation *invocation);
int ms_cmd_topic_show(struct ms_invocation *invocation);
int ms_cmd_topic_create(struct ms_invocation *invocation);
int ms_cmd_topic_delete(struct ms_invocation *invocation);
int ms_cmd_group_list(struct ms_invocation *invocation);
int ms_cmd_group_show(struct ms_invocation *invocation);
int ms_cmd_group_reset(struct ms_invocation *invocation);
int ms_cmd_group_delete(struct ms_invocation *invocation);
int ms_cmd_projection_list(struct ms_invocation *invocation);
int ms_cmd_projection_show(struct ms_invocation *invocation);
int ms_cmd_projection_deploy(struct ms_invocation *invocation);
int ms_cmd_projection_rebuild(struct ms_invocation *invocation);
int ms_cmd_projection_pause(struct ms_invocation *invocation);
int ms_cmd_projection_resume(struct ms_invocation *invocation);
int ms_cmd_projection_switch(struct ms_invocation *invocation);
int ms_cmd_projection_drop(struct ms_invocation *invocation);
int ms_cmd_projection_lag(struct ms_invocation *invocation);
int ms_cmd_projection_errors(struct ms_invocation *invocation);
int ms_cmd_projection_retry(struct ms_invocation *invocation);
int ms_cmd_projection_skip(struct ms_invocation *invocation);
int ms_cmd_query(struct ms_invocation *invocation);
int ms_cmd_test(struct ms_invocation *invocation);
int ms_cmd_import(struct ms_invocation *invocation);
int ms_cmd_export(struct ms_invocation *invocation);
int ms_cmd_state(struct ms_invocation *invocation);
int ms_cmd_stats(struct ms_invocation *invocation);
int ms_cmd_config_print(struct ms_invocation *invocation);
int ms_cmd_config_check(struct ms_invocation *invocation);
int ms_cmd_verify(struct ms_invocation *invocation);
int ms_cmd_repair(struct ms_invocation *invocation);
int ms_cmd_inspect(struct ms_invocation *invocation);
int ms_cmd_backup(struct ms_invocation *invocation);
int ms_cmd_restore(struct ms_invocation *invocation);
int ms_cmd_scavenge(struct ms_invocation *invocation);
int ms_cmd_bench(struct ms_invocation *invocation);
int ms_cmd_version(struct ms_invocation *invocation);
int ms_cmd_help(struct ms_invocation *invocation);
