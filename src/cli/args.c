/*
 * The command line, checked against the table of commands: `mainstem COMMAND [ARGUMENT…] [OPTION…]`
 * in any order after the command. `--name value` and `--name=value` are the same; `--` ends the
 * options; `-` alone is an argument. One thread.
 */
#include "cli/command.h"
#include "base/suggest.h"

/* ---- which command ---- */

/* True when argv begins with the command's words. */
static bool command_matches(const struct ms_command *command, int argc, const char *const *argv,
                            int *ret_words) {
    struct ms_bytes rest = ms_bytes_cstr(command->name);
    int words = 0;
    while (rest.len > 0) {
        const uint8_t *space = memchr(rest.data, ' ', rest.len);
        size_t len = space ? (size_t)(space - rest.data) : rest.len;
        if (words == argc || !ms_bytes_equal_cstr(ms_bytes_of(rest.data, len), argv[words]))
            return false;
        words++;
        size_t step = space ? len + 1 : len;
        rest = ms_bytes_of(rest.data + step, rest.len - step);
    }
    *ret_words = words;
    return true;
}

static bool is_group(const char *word) {
    size_t len = strlen(word);
    for (size_t i = 0; i < ms_command_count; i++)
        if (strncmp(ms_commands[i].name, word, len) == 0 && ms_commands[i].name[len] == ' ')
            return true;
    return false;
}

static int unknown_subcommand(const char *group, const char *word, struct ms_error *err) {
    char verbs[256] = "";
    size_t used = 0, len = strlen(group);
    for (size_t i = 0; i < ms_command_count; i++) {
        if (strncmp(ms_commands[i].name, group, len) != 0 || ms_commands[i].name[len] != ' ')
            continue;
        int n = snprintf(verbs + used, sizeof verbs - used, "%s%s", used ? ", " : "",
                         ms_commands[i].name + len + 1);
        used += (size_t)n < sizeof verbs - used ? (size_t)n : 0;
    }
    if (word)
        return ms_error_set(err, MS_EINVAL, "%s has no command %s; it has %s", group, word, verbs);
    return ms_error_set(err, MS_EINVAL, "%s needs one of %s", group, verbs);
}

static int unknown_command(const char *word, struct ms_error *err) {
    struct ms_suggestion suggestion;
    ms_suggest_begin(&suggestion, ms_bytes_cstr(word));
    for (size_t i = 0; i < ms_command_count; i++)
        ms_suggest_offer(&suggestion, ms_commands[i].name);
    if (suggestion.best)
        return ms_error_set(err, MS_EINVAL, "there is no command %s; did you mean %s?", word,
                            suggestion.best);
    return ms_error_set(err, MS_EINVAL, "there is no command %s", word);
}

static bool is_help(const char *word) { return !strcmp(word, "--help") || !strcmp(word, "-h"); }

/* `mainstem stream --help` is `mainstem help stream`. */
static int help_of_group(struct ms_invocation *invocation, const char *group,
                         struct ms_error *err) {
    for (size_t i = 0; i < ms_command_count; i++) {
        if (strcmp(ms_commands[i].name, "help") == 0) {
            invocation->command = &ms_commands[i];
            invocation->args[invocation->arg_count++] = group;
            return 0;
        }
    }
    return ms_error_set(err, MS_EINVAL, "there is no command help");
}

static int find_command(struct ms_invocation *invocation, int argc, const char *const *argv,
                        int *ret_words, struct ms_error *err) {
    for (size_t i = 0; i < ms_command_count; i++) {
        if (command_matches(&ms_commands[i], argc, argv, ret_words)) {
            invocation->command = &ms_commands[i];
            return 0;
        }
    }
    if (is_group(argv[0]) && argc > 1 && is_help(argv[1]))
        return help_of_group(invocation, argv[0], err);
    if (is_group(argv[0]))
        return unknown_subcommand(argv[0], argc > 1 ? argv[1] : NULL, err);
    return unknown_command(argv[0], err);
}

/* ---- options ---- */

static const struct ms_option *option_in(const struct ms_option *options, struct ms_bytes name) {
    for (; options && options->name; options++)
        if (ms_bytes_equal_cstr(name, options->name))
            return options;
    return NULL;
}

static const struct ms_option *find_option(const struct ms_command *command, struct ms_bytes name) {
    const struct ms_option *option = option_in(command->options, name);
    if (!option && command->traits & MS_COMMAND_TARGET)
        option = option_in(ms_target_options, name);
    if (!option && command->traits & MS_COMMAND_JSON)
        option = option_in(ms_json_options, name);
    return option ? option : option_in(ms_help_options, name);
}

static void offer_options(struct ms_suggestion *suggestion, const struct ms_option *options) {
    for (; options && options->name; options++)
        ms_suggest_offer(suggestion, options->name);
}

/* Flags of settings are made up on the spot, so the best one is kept as a setting. */
static const struct ms_setting *nearest_setting(struct ms_suggestion *suggestion) {
    const struct ms_setting *nearest = NULL;
    for (size_t i = 0; i < MS_SETTING_COUNT; i++) {
        char flag[MS_SETTING_NAME_MAX];
        ms_setting_flag(&ms_settings[i], flag);
        size_t before = suggestion->best_distance;
        ms_suggest_offer(suggestion, flag + 2);
        if (suggestion->best_distance < before)
            nearest = &ms_settings[i];
    }
    return nearest;
}

static int unknown_option(const struct ms_command *command, struct ms_bytes name,
                          struct ms_error *err) {
    struct ms_suggestion suggestion;
    ms_suggest_begin(&suggestion, name);
    offer_options(&suggestion, command->options);
    if (command->traits & MS_COMMAND_TARGET)
        offer_options(&suggestion, ms_target_options);
    if (command->traits & MS_COMMAND_JSON)
        offer_options(&suggestion, ms_json_options);
    const struct ms_setting *setting =
        command->traits & MS_COMMAND_SETTINGS ? nearest_setting(&suggestion) : NULL;
    char nearest[MS_SETTING_NAME_MAX] = "";
    if (setting)
        ms_setting_flag(setting, nearest);
    else if (suggestion.best)
        snprintf(nearest, sizeof nearest, "--%s", suggestion.best);
    if (*nearest)
        return ms_error_set(err, MS_EINVAL, "unknown option --%.*s; did you mean %s?",
                            (int)name.len, (const char *)name.data, nearest);
    return ms_error_set(err, MS_EINVAL, "unknown option --%.*s", (int)name.len,
                        (const char *)name.data);
}

/* One word beginning with "--", taken apart. */
struct word {
    struct ms_bytes name;
    const char *value; /* after '=', or NULL */
    const char *next;  /* the word after it, or NULL */
};

static int take_value(const struct word *word, const char **ret_value, bool *ret_used_next,
                      struct ms_error *err) {
    *ret_used_next = !word->value;
    *ret_value = word->value ? word->value : word->next;
    if (*ret_value)
        return 0;
    return ms_error_set(err, MS_EINVAL, "option --%.*s needs a value", (int)word->name.len,
                        (const char *)word->name.data);
}

static int take_setting(struct ms_invocation *invocation, const struct ms_setting *setting,
                        const struct word *word, bool *ret_used_next, struct ms_error *err) {
    if (invocation->flag_count == MS_OPTIONS_MAX)
        return ms_error_set(err, MS_EINVAL, "more than %d options", MS_OPTIONS_MAX);
    const char *value = word->value ? word->value : "true";
    *ret_used_next = false;
    if (setting->type != MS_SETTING_BOOL) {
        int rc = take_value(word, &value, ret_used_next, err);
        if (rc != 0)
            return rc;
    }
    invocation->flags[invocation->flag_count++] =
        (struct ms_config_flag){.setting = setting, .value = value};
    return 0;
}

static int take_option(struct ms_invocation *invocation, const struct ms_option *option,
                       const struct word *word, bool *ret_used_next, struct ms_error *err) {
    if (invocation->given_count == MS_OPTIONS_MAX)
        return ms_error_set(err, MS_EINVAL, "more than %d options", MS_OPTIONS_MAX);
    struct ms_given_option given = {.option = option};
    *ret_used_next = false;
    if (!option->argument && word->value)
        return ms_error_set(err, MS_EINVAL, "option --%s takes no value", option->name);
    if (option->argument) {
        int rc = take_value(word, &given.value, ret_used_next, err);
        if (rc != 0)
            return rc;
    }
    invocation->given[invocation->given_count++] = given;
    return 0;
}

static int parse_option(struct ms_invocation *invocation, const char *text, const char *next,
                        bool *ret_used_next, struct ms_error *err) {
    if (text[1] != '-')
        return ms_error_set(err, MS_EINVAL,
                            "unknown option \"%.64s\": options begin with --, and an argument that "
                            "begins with - comes after --",
                            text);
    const char *equals = strchr(text, '=');
    struct word word = {
        .name = ms_bytes_of(text + 2, equals ? (size_t)(equals - text) - 2 : strlen(text + 2)),
        .value = equals ? equals + 1 : NULL,
        .next = next,
    };
    const struct ms_option *option = find_option(invocation->command, word.name);
    if (option)
        return take_option(invocation, option, &word, ret_used_next, err);
    const struct ms_setting *setting =
        invocation->command->traits & MS_COMMAND_SETTINGS ? ms_setting_by_flag(word.name) : NULL;
    if (setting)
        return take_setting(invocation, setting, &word, ret_used_next, err);
    return unknown_option(invocation->command, word.name, err);
}

static int parse_argument(struct ms_invocation *invocation, const char *text,
                          struct ms_error *err) {
    size_t max = invocation->command->args_max;
    MS_ASSERT(max <= MS_ARGS_MAX);
    if (invocation->arg_count == max)
        return ms_error_set(err, MS_EINVAL, "unexpected argument \"%.64s\"", text);
    invocation->args[invocation->arg_count++] = text;
    return 0;
}

/* A lone "-" is an argument, standard input, and so is a negative number: data. */
static bool is_option(const char *text) {
    return text[0] == '-' && text[1] != 0 && (text[1] < '0' || text[1] > '9');
}

static int parse_words(struct ms_invocation *invocation, int argc, const char *const *argv,
                       struct ms_error *err) {
    bool only_arguments = false;
    for (int i = 0; i < argc; i++) {
        int rc = 0;
        bool used_next = false;
        if (!only_arguments && strcmp(argv[i], "--") == 0)
            only_arguments = true;
        else if (!only_arguments && is_help(argv[i]))
            invocation->help = true;
        else if (!only_arguments && is_option(argv[i]))
            rc = parse_option(invocation, argv[i], i + 1 < argc ? argv[i + 1] : NULL, &used_next,
                              err);
        else
            rc = parse_argument(invocation, argv[i], err);
        if (rc != 0)
            return rc;
        i += used_next;
    }
    return 0;
}

int ms_args_parse(struct ms_invocation *invocation, int argc, const char *const *argv,
                  struct ms_error *err) {
    if (argc == 0)
        return ms_error_set(err, MS_EINVAL, "name a command");
    if (is_help(argv[0])) {
        invocation->help = true;
        return 0;
    }
    static const char *const version[] = {"version"};
    if (argc == 1 && strcmp(argv[0], "--version") == 0)
        argv = version;
    int words = 0;
    int rc = find_command(invocation, argc, argv, &words, err);
    if (rc == 0 && words > 0)
        rc = parse_words(invocation, argc - words, argv + words, err);
    if (rc != 0 || invocation->help)
        return rc;
    if (invocation->arg_count < invocation->command->args_min)
        return ms_error_set(err, MS_EINVAL, "%s needs %s", invocation->command->name,
                            invocation->command->arguments);
    return 0;
}

/* ---- reading an invocation ---- */

static const struct ms_given_option *last_given(const struct ms_invocation *invocation,
                                                const char *name) {
    MS_ASSERT(find_option(invocation->command, ms_bytes_cstr(name)));
    for (size_t i = invocation->given_count; i > 0; i--)
        if (strcmp(invocation->given[i - 1].option->name, name) == 0)
            return &invocation->given[i - 1];
    return NULL;
}

const char *ms_option_text(const struct ms_invocation *invocation, const char *name) {
    const struct ms_given_option *given = last_given(invocation, name);
    if (!given)
        return NULL;
    return given->value ? given->value : "";
}

bool ms_option_given(const struct ms_invocation *invocation, const char *name) {
    return last_given(invocation, name) != NULL;
}

int ms_option_list(struct ms_invocation *invocation, const char *name, struct ms_bytes **ret_values,
                   size_t *ret_count) {
    size_t count = 0;
    struct ms_bytes *values =
        ms_arena_zalloc(&invocation->arena, (invocation->given_count + 1) * sizeof *values);
    if (!values)
        return MS_ENOMEM;
    for (size_t i = 0; i < invocation->given_count; i++)
        if (strcmp(invocation->given[i].option->name, name) == 0)
            values[count++] = ms_bytes_cstr(invocation->given[i].value);
    *ret_values = values;
    *ret_count = count;
    return 0;
}

int ms_option_u64(const struct ms_invocation *invocation, const char *name, uint64_t min,
                  uint64_t max, uint64_t *value, struct ms_error *err) {
    const char *text = ms_option_text(invocation, name);
    if (!text)
        return 0;
    uint64_t number;
    if (ms_parse_u64(ms_bytes_cstr(text), &number) != 0 || number < min || number > max) {
        if (max == UINT64_MAX || max == INT64_MAX)
            return ms_error_set(err, MS_EINVAL, "--%s: a number from %llu on was expected, not %s",
                                name, (unsigned long long)min, text);
        return ms_error_set(err, MS_EINVAL, "--%s: a number from %llu to %llu was expected, not %s",
                            name, (unsigned long long)min, (unsigned long long)max, text);
    }
    *value = number;
    return 0;
}

bool ms_wants_json(const struct ms_invocation *invocation) {
    return !invocation->cli->out_is_terminal || ms_option_given(invocation, "json");
}
