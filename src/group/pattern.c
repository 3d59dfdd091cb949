/* Patterns of topic names; pattern.h says which. */
#include "group/pattern.h"

#define DEPTH_MAX 64u

/* What the library makes of a pattern: about so many nodes. It writes repetitions out, and what is
 * in brackets with them, so that each '+' behind another doubles all of it. */
struct cost {
    struct {
        uint64_t sum, last; /* of a sequence; of its last atom, which is part of it */
    } levels[DEPTH_MAX];
    size_t depth;
};

static void add_atom(struct cost *cost, uint64_t nodes) {
    cost->levels[cost->depth].last = nodes;
    cost->levels[cost->depth].sum += nodes;
}

static void repeat_atom(struct cost *cost, uint64_t times) {
    uint64_t last = cost->levels[cost->depth].last;
    cost->levels[cost->depth].last = last * times + 1;
    cost->levels[cost->depth].sum += last * times + 1 - last;
}

/* Behind a '{': the largest number before the '}'; *at is there then. */
static uint64_t read_times(struct ms_bytes text, size_t *at) {
    uint64_t most = 1, number = 0;
    size_t i = *at + 1;
    for (; i < text.len && text.data[i] != '}'; i++) {
        bool digit = text.data[i] >= '0' && text.data[i] <= '9';
        number = digit && number <= MS_PATTERN_COST_MAX
                     ? number * 10 + (uint64_t)(text.data[i] - '0')
                     : (digit ? number : 0);
        most = number > most ? number : most;
    }
    *at = i;
    return most;
}

/* Behind a '[': where its ']' is. */
static size_t skip_set(struct ms_bytes text, size_t at) {
    size_t i = at + 1;
    i += i < text.len && text.data[i] == '^';
    i += i < text.len && text.data[i] == ']';
    for (; i < text.len && text.data[i] != ']'; i++) {
        uint8_t kind = i + 1 < text.len ? text.data[i + 1] : 0;
        if (text.data[i] != '[' || (kind != ':' && kind != '.' && kind != '='))
            continue;
        for (i += 2; i + 1 < text.len && !(text.data[i] == kind && text.data[i + 1] == ']'); i++)
            ;
        i++;
    }
    return i;
}

static bool open_bracket(struct cost *cost) {
    if (cost->depth + 1 == DEPTH_MAX)
        return false;
    cost->depth++;
    cost->levels[cost->depth].sum = cost->levels[cost->depth].last = 0;
    return true;
}

static void close_bracket(struct cost *cost) {
    uint64_t nodes = 1;
    if (cost->depth > 0)
        nodes += cost->levels[cost->depth--].sum;
    add_atom(cost, nodes);
}

/* One character or set of the pattern; *at is behind it then. */
static bool count(struct ms_bytes text, size_t *at, struct cost *cost) {
    bool ok = true;
    switch (text.data[*at]) {
    case '\\':
        *at += 1;
        add_atom(cost, 1);
        break;
    case '[':
        *at = skip_set(text, *at);
        add_atom(cost, 1);
        break;
    case '(':
        ok = open_bracket(cost);
        break;
    case ')':
        close_bracket(cost);
        break;
    case '{':
        repeat_atom(cost, read_times(text, at));
        break;
    case '+':
        repeat_atom(cost, 2);
        break;
    case '*':
    case '?':
        repeat_atom(cost, 1);
        break;
    default:
        add_atom(cost, 1);
    }
    *at += 1;
    return ok && cost->levels[cost->depth].sum <= MS_PATTERN_COST_MAX;
}

/* No zero bytes, no references back, and not more than can be afforded. */
static bool is_bounded(struct ms_bytes text) {
    struct cost cost = {.depth = 0};
    if (text.len == 0 || text.len > MS_PATTERN_BYTES_MAX || memchr(text.data, 0, text.len) != NULL)
        return false;
    for (size_t i = 0; i < text.len;) {
        uint8_t next = i + 1 < text.len ? text.data[i + 1] : 0;
        if (text.data[i] == '\\' && next >= '0' && next <= '9')
            return false;
        if (!count(text, &i, &cost))
            return false;
    }
    return true;
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
