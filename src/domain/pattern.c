/* Lua's patterns: compiling and matching; see pattern.h. */
#include "domain/pattern.h"

enum op { LITERAL, ANY, SET, OPEN, CLOSE, POSITION, REPEAT, BALANCED, FRONTIER, AT_END };
#define OPEN_STILL (SIZE_MAX - 1) /* length of a capture that has not ended */

/* ---- sets ---- */

static bool is_between(unsigned c, unsigned low, unsigned high) { return c >= low && c <= high; }

static bool is_alpha(unsigned c) { return is_between(c | 0x20, 'a', 'z'); }
static bool is_digit(unsigned c) { return is_between(c, '0', '9'); }

/* False also for a letter that is no class. */
static bool in_class(unsigned class, unsigned c) {
    switch (class) {
    case 'a':
        return is_alpha(c);
    case 'c':
        return c < 32 || c == 127;
    case 'd':
        return is_digit(c);
    case 'g':
        return is_between(c, 33, 126);
    case 'l':
        return is_between(c, 'a', 'z');
    case 'p':
        return is_between(c, 33, 126) && !is_alpha(c) && !is_digit(c);
    case 's':
        return c == ' ' || is_between(c, 9, 13);
    case 'u':
        return is_between(c, 'A', 'Z');
    case 'w':
        return is_alpha(c) || is_digit(c);
    case 'x':
        return is_digit(c) || is_between(c | 0x20, 'a', 'f');
    case 'z': /* of older Lua, and still taken */
        return c == 0;
    default:
        return false;
    }
}

static bool is_class(unsigned c) { return is_alpha(c) && strchr("acdglpsuwxz", (int)(c | 0x20)); }

static void add_byte(uint32_t set[8], unsigned c) { set[c >> 5] |= 1u << (c & 31); }
static bool has_byte(const uint32_t set[8], unsigned c) { return set[c >> 5] >> (c & 31) & 1; }

static void add_class(uint32_t set[8], unsigned class) {
    bool others = is_between(class, 'A', 'Z');
    for (unsigned c = 0; c < 256; c++)
        if (in_class(class | 0x20, c) != others)
            add_byte(set, c);
}

/* ---- compiling ---- */

struct compiling {
    const uint8_t *at, *end;
    struct ms_pattern *pattern;
    const char *error;
    unsigned opened, open; /* captures; of them not closed yet */
};

static int wrong(struct compiling *c, const char *error) {
    c->error = error;
    return MS_EINVAL;
}

/* Where the ']' is that ends the set; NULL: there is none. One that comes first, or behind a '%',
 * stands for itself, also where that '%' ends a range. */
static const uint8_t *find_set_end(const uint8_t *at, const uint8_t *end) {
    do {
        if (at == end)
            return NULL;
        if (*at++ == '%' && at < end)
            at++;
    } while (at == end || *at != ']');
    return at;
}

static void add_member(uint32_t set[8], unsigned byte) {
    if (is_class(byte))
        add_class(set, byte);
    else
        add_byte(set, byte);
}

/* Behind the '['. */
static int compile_set(struct compiling *c, uint32_t set[8]) {
    bool others = c->at < c->end && *c->at == '^';
    const uint8_t *at = c->at + others, *end = find_set_end(at, c->end);
    if (end == NULL)
        return wrong(c, "malformed pattern (missing ']')");
    for (; at < end; at++) {
        if (*at == '%') {
            add_member(set, *++at); /* a '%' that comes last takes the ']' as well, as in Lua */
        } else if (end - at > 2 && at[1] == '-') {
            for (unsigned in = at[0]; in <= at[2]; in++)
                add_byte(set, in);
            at += 2;
        } else {
            add_byte(set, *at);
        }
    }
    c->at = end + 1;
    for (size_t i = 0; others && i < 8; i++)
        set[i] = ~set[i];
    return 0;
}

static int compile_balanced(struct compiling *c, struct ms_pattern_node *node) {
    if (c->end - c->at < 2)
        return wrong(c, "malformed pattern (missing arguments to '%b')");
    node->op = BALANCED;
    node->a = *c->at++;
    node->b = *c->at++;
    return 0;
}

static int compile_frontier(struct compiling *c, struct ms_pattern_node *node) {
    if (c->at == c->end || *c->at++ != '[')
        return wrong(c, "missing '[' after '%f' in pattern");
    node->op = FRONTIER;
    return compile_set(c, node->set);
}

static int compile_escape(struct compiling *c, struct ms_pattern_node *node) {
    if (c->at == c->end)
        return wrong(c, "malformed pattern (ends with '%')");
    unsigned byte = *c->at++;
    if (byte == 'b')
        return compile_balanced(c, node);
    if (byte == 'f')
        return compile_frontier(c, node);
    if (is_digit(byte)) {
        node->op = REPEAT;
        node->a = (uint8_t)(byte - '0');
        return node->a == 0 || node->a > c->opened ? wrong(c, "invalid capture index in pattern")
                                                   : 0;
    }
    if (is_class(byte)) {
        node->op = SET;
        add_class(node->set, byte);
        return 0;
    }
    node->op = LITERAL;
    node->a = (uint8_t)byte;
    return 0;
}

static int compile_open(struct compiling *c, struct ms_pattern_node *node) {
    if (++c->opened > MS_PATTERN_CAPTURES_MAX)
        return wrong(c, "too many captures");
    bool position = c->at < c->end && *c->at == ')';
    node->op = position ? POSITION : OPEN;
    c->at += position;
    c->open += !position;
    return 0;
}

static int compile_close(struct compiling *c, struct ms_pattern_node *node) {
    if (c->open == 0)
        return wrong(c, "invalid pattern capture");
    c->open--;
    node->op = CLOSE;
    return 0;
}

static int compile_node(struct compiling *c, struct ms_pattern_node *node) {
    unsigned byte = *c->at++;
    switch (byte) {
    case '(':
        return compile_open(c, node);
    case ')':
        return compile_close(c, node);
    case '%':
        return compile_escape(c, node);
    case '[':
        node->op = SET;
        return compile_set(c, node->set);
    case '.':
        node->op = ANY;
        return 0;
    default:
        node->op = byte == '$' && c->at == c->end ? AT_END : LITERAL;
        node->a = (uint8_t)byte;
        return 0;
    }
}

static void take_quantifier(struct compiling *c, struct ms_pattern_node *node) {
    bool single = node->op == LITERAL || node->op == ANY || node->op == SET;
    if (single && c->at < c->end && memchr("*+-?", *c->at, 4) != NULL)
        node->quantifier = *c->at++;
}

int ms_pattern_compile(struct ms_bytes text, bool anchors, struct ms_pattern *ret_pattern,
                       const char **ret_error) {
    struct compiling c = {.at = text.data, .end = text.data + text.len, .pattern = ret_pattern};
    ret_pattern->anchored = anchors && text.len > 0 && *c.at == '^';
    ret_pattern->count = 0;
    c.at += ret_pattern->anchored;
    int code = 0;
    while (code == 0 && c.at < c.end) {
        if (ret_pattern->count == MS_PATTERN_NODES_MAX) {
            code = wrong(&c, "the pattern is too long (256 items)");
            break;
        }
        struct ms_pattern_node *node = &ret_pattern->nodes[ret_pattern->count++];
        *node = (struct ms_pattern_node){0};
        code = compile_node(&c, node);
        if (code == 0)
            take_quantifier(&c, node);
    }
    if (code == 0 && c.open > 0)
        code = wrong(&c, "unfinished capture");
    if (code != 0)
        *ret_error = c.error;
    return code;
}

/* ---- matching ---- */

struct matching {
    const struct ms_pattern *pattern;
    struct ms_bytes subject;
    int64_t steps;
    unsigned depth;
    struct ms_pattern_match *match;
    size_t end; /* of the match, once there is one */
};

static int match_from(struct matching *m, size_t node, size_t at);

static bool is_one(const struct matching *m, const struct ms_pattern_node *node, size_t at) {
    if (at >= m->subject.len)
        return false;
    unsigned byte = m->subject.data[at];
    return node->op == ANY || (node->op == LITERAL ? byte == node->a : has_byte(node->set, byte));
}

/* As many as there are, then one less and one less. */
static int match_most(struct matching *m, size_t node, size_t at, size_t least) {
    size_t n = 0;
    while (is_one(m, &m->pattern->nodes[node], at + n))
        n++;
    m->steps -= (int64_t)n;
    for (;; n--) {
        if (n < least)
            return 0;
        int code = match_from(m, node + 1, at + n);
        if (code != 0 || n == 0)
            return code;
    }
}

static int match_least(struct matching *m, size_t node, size_t at) {
    for (;; at++) {
        int code = match_from(m, node + 1, at);
        if (code != 0)
            return code;
        if (!is_one(m, &m->pattern->nodes[node], at))
            return 0;
    }
}

static int match_optional(struct matching *m, size_t node, size_t at) {
    int code = 0;
    if (is_one(m, &m->pattern->nodes[node], at))
        code = match_from(m, node + 1, at + 1);
    return code != 0 ? code : match_from(m, node + 1, at);
}

static int match_quantified(struct matching *m, size_t node, size_t at) {
    switch (m->pattern->nodes[node].quantifier) {
    case '*':
        return match_most(m, node, at, 0);
    case '+':
        return match_most(m, node, at, 1);
    case '-':
        return match_least(m, node, at);
    default:
        return match_optional(m, node, at);
    }
}

static int match_open(struct matching *m, size_t node, size_t at, size_t len) {
    struct ms_pattern_match *match = m->match;
    match->captures[match->capture_count++] = (struct ms_pattern_capture){at, len};
    int code = match_from(m, node + 1, at);
    if (code == 0)
        match->capture_count--;
    return code;
}

static int match_close(struct matching *m, size_t node, size_t at) {
    unsigned i = m->match->capture_count;
    while (i > 0 && m->match->captures[i - 1].len != OPEN_STILL)
        i--;
    MS_ASSERT(i > 0); /* compiling has counted them */
    struct ms_pattern_capture *capture = &m->match->captures[i - 1];
    capture->len = at - capture->from;
    int code = match_from(m, node + 1, at);
    if (code == 0)
        capture->len = OPEN_STILL;
    return code;
}

/* The length of what a node matches at one place; -1: it doesn't; MS_EINVAL below that. */
#define NO_MATCH (-1)
#define BAD_REPEAT (-2)

static int64_t match_repeat(struct matching *m, unsigned number, size_t at) {
    if (number > m->match->capture_count)
        return BAD_REPEAT;
    const struct ms_pattern_capture *capture = &m->match->captures[number - 1];
    if (capture->len == OPEN_STILL || capture->len == MS_PATTERN_POSITION)
        return BAD_REPEAT;
    m->steps -= (int64_t)capture->len;
    bool same = m->subject.len - at >= capture->len &&
                (capture->len == 0 ||
                 memcmp(m->subject.data + capture->from, m->subject.data + at, capture->len) == 0);
    return same ? (int64_t)capture->len : NO_MATCH;
}

static int64_t match_balanced(struct matching *m, const struct ms_pattern_node *node, size_t at) {
    if (at >= m->subject.len || m->subject.data[at] != node->a)
        return NO_MATCH;
    size_t open = 1;
    for (size_t i = at + 1; i < m->subject.len; i++, m->steps--) {
        uint8_t byte = m->subject.data[i];
        if (byte == node->b) {
            if (--open == 0)
                return (int64_t)(i + 1 - at);
        } else if (byte == node->a) {
            open++;
        }
    }
    return NO_MATCH;
}

static bool is_frontier(const struct matching *m, const struct ms_pattern_node *node, size_t at) {
    unsigned before = at > 0 ? m->subject.data[at - 1] : 0;
    unsigned here = at < m->subject.len ? m->subject.data[at] : 0;
    return !has_byte(node->set, before) && has_byte(node->set, here);
}

static int64_t match_simple(struct matching *m, const struct ms_pattern_node *node, size_t at) {
    switch (node->op) {
    case REPEAT:
        return match_repeat(m, node->a, at);
    case BALANCED:
        return match_balanced(m, node, at);
    case FRONTIER:
        return is_frontier(m, node, at) ? 0 : NO_MATCH;
    case AT_END:
        return at == m->subject.len ? 0 : NO_MATCH;
    default:
        return is_one(m, node, at) ? 1 : NO_MATCH;
    }
}

/* What needs a way back goes a level deeper; the rest is a loop. */
static int match_nodes(struct matching *m, size_t node, size_t at) {
    for (; node < m->pattern->count; node++) {
        const struct ms_pattern_node *this = &m->pattern->nodes[node];
        if (--m->steps < 0)
            return MS_ELIMIT;
        if (this->quantifier != 0)
            return match_quantified(m, node, at);
        if (this->op == OPEN || this->op == POSITION)
            return match_open(m, node, at, this->op == OPEN ? OPEN_STILL : MS_PATTERN_POSITION);
        if (this->op == CLOSE)
            return match_close(m, node, at);
        int64_t len = match_simple(m, this, at);
        if (len < 0)
            return len == BAD_REPEAT ? MS_EINVAL : 0;
        at += (size_t)len;
    }
    m->end = at;
    return 1;
}

static int match_from(struct matching *m, size_t node, size_t at) {
    if (--m->steps < 0)
        return MS_ELIMIT;
    if (m->depth == MS_PATTERN_DEPTH_MAX)
        return MS_ETOOBIG;
    m->depth++;
    int code = match_nodes(m, node, at);
    m->depth--;
    return code;
}

int ms_pattern_match_at(const struct ms_pattern *pattern, struct ms_bytes subject, size_t from,
                        int64_t *steps, struct ms_pattern_match *ret_match) {
    struct matching m = {
        .pattern = pattern, .subject = subject, .steps = *steps, .match = ret_match};
    ret_match->capture_count = 0;
    int code = match_from(&m, 0, from);
    *steps = m.steps > 0 ? m.steps : 0;
    ret_match->from = from;
    ret_match->end = m.end;
    return code;
}

int ms_pattern_find(const struct ms_pattern *pattern, struct ms_bytes subject, size_t from,
                    int64_t *steps, struct ms_pattern_match *ret_match) {
    for (size_t at = from; at <= subject.len; at++) {
        int code = ms_pattern_match_at(pattern, subject, at, steps, ret_match);
        if (code != 0 || pattern->anchored)
            return code;
    }
    return 0;
}
