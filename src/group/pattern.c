/* Patterns of topic names; pattern.h says which. */
#include "group/pattern.h"

/* No zero bytes, no references back, and not more repetitions than can be afforded. */
static bool is_bounded(struct ms_bytes text) {
    uint32_t repeats = 1;
    if (text.len == 0 || text.len > MS_PATTERN_BYTES_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.data[i], next = i + 1 < text.len ? text.data[i + 1] : 0;
        if (byte == 0 || (byte == '\\' && next >= '0' && next <= '9'))
            return false;
        if (byte == '\\')
            i++;
        if (byte != '{')
            continue;
        uint32_t most = 1, number = 0;
        for (i++; i < text.len && text.data[i] != '}'; i++) {
            bool digit = text.data[i] >= '0' && text.data[i] <= '9';
            number = digit ? number * 10 + (text.data[i] - '0') : 0;
            if (number > MS_PATTERN_REPEATS_MAX)
                return false;
            most = number > most ? number : most;
        }
        repeats *= most;
        if (repeats > MS_PATTERN_REPEATS_MAX)
            return false;
    }
    return repeats * text.len <= MS_PATTERN_COST_MAX;
}

static int compile(regex_t *regex, const char *text) {
    int rc = regcomp(regex, text, REG_EXTENDED | REG_NOSUB);
    if (rc == 0)
        return 0;
    return rc == REG_ESPACE ? MS_ENOMEM : MS_EINVAL;
}

int ms_pattern_init(struct ms_pattern *pattern, struct ms_bytes text) {
    char whole[MS_PATTERN_BYTES_MAX + sizeof "^()$"] = "^(";
    if (!is_bounded(text))
        return MS_EINVAL;
    /* Alone first: "a)(b" would be a pattern between the brackets. */
    memcpy(whole + 2, text.data, text.len);
    int rc = compile(&pattern->regex, whole + 2);
    if (rc != 0)
        return rc;
    regfree(&pattern->regex);
    memcpy(whole + 2 + text.len, ")$", 3);
    return compile(&pattern->regex, whole);
}

void ms_pattern_deinit(struct ms_pattern *pattern) { regfree(&pattern->regex); }

bool ms_pattern_matches(const struct ms_pattern *pattern, struct ms_bytes name) {
    char text[MS_PATTERN_NAME_MAX + 1];
    if (name.len > MS_PATTERN_NAME_MAX)
        return false;
    memcpy(text, name.data, name.len);
    text[name.len] = '\0';
    return regexec(&pattern->regex, text, 0, NULL, 0) == 0;
}
