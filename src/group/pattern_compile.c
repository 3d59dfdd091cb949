/*
 * From the text of a pattern to its instructions.
 *
 * One pass, without recursion: what is in brackets is a level of a stack. Ways are relative, so
 * that a repetition can copy what it repeats, and an instruction can be put before it.
 *
 *   x*       FORK behind | x | JUMP back to the FORK
 *   x+       x | FORK back to x
 *   x?       FORK behind | x
 *   x{2,3}   x | x | FORK behind | x
 *   x|y      FORK to y | x | JUMP behind | y
 */
#include "base/alloc.h"
#include "group/pattern.h"

#define LEVELS_MAX 64u
#define TIMES_MAX 1000u
#define WITHOUT_END UINT32_MAX
#define NONE SIZE_MAX

struct level {
    size_t begin;       /* of what is in these brackets */
    size_t alternative; /* where the present one begins */
    size_t atom;        /* where what may be repeated begins; NONE */
    size_t jump; /* the last of the alternatives' ends that don't know yet where to go; NONE */
};

struct compiler {
    struct ms_bytes text;
    size_t at;
    struct level levels[LEVELS_MAX];
    size_t depth, count, set_count;
    struct ms_pattern_code code[MS_PATTERN_COST_MAX];
    struct ms_pattern_set sets[MS_PATTERN_BYTES_MAX];
};

static struct level *top(struct compiler *c) { return &c->levels[c->depth]; }

static bool has(const struct compiler *c, uint8_t byte) {
    return c->at < c->text.len && c->text.data[c->at] == byte;
}

static bool skip(struct compiler *c, uint8_t byte) {
    bool found = has(c, byte);
    c->at += found;
    return found;
}

/* ---- instructions ---- */

static bool emit(struct compiler *c, enum ms_pattern_op op, ptrdiff_t by) {
    if (c->count == MS_PATTERN_COST_MAX)
        return false;
    c->code[c->count++] = (struct ms_pattern_code){(uint16_t)op, (int16_t)by};
    return true;
}

/* No way crosses the place where it is put: each stays in an atom or in an alternative. */
static bool insert(struct compiler *c, size_t at, enum ms_pattern_op op, ptrdiff_t by) {
    if (!emit(c, op, by))
        return false;
    struct ms_pattern_code code = c->code[c->count - 1];
    memmove(&c->code[at + 1], &c->code[at], (c->count - 1 - at) * sizeof code);
    c->code[at] = code;
    return true;
}

static bool emit_atom(struct compiler *c, enum ms_pattern_op op, ptrdiff_t by) {
    top(c)->atom = c->count;
    return emit(c, op, by);
}

/* ---- repetitions ---- */

static bool copy_atom(struct compiler *c, size_t from, size_t len) {
    if (len > MS_PATTERN_COST_MAX - c->count)
        return false;
    memcpy(&c->code[c->count], &c->code[from], len * sizeof *c->code);
    c->count += len;
    return true;
}

static bool repeat_for_ever(struct compiler *c, size_t atom, size_t len, uint32_t least) {
    if (least == 0)
        return insert(c, atom, MS_PATTERN_FORK, (ptrdiff_t)len + 2) &&
               emit(c, MS_PATTERN_JUMP, -(ptrdiff_t)len - 1);
    for (uint32_t i = 1; i < least; i++)
        if (!copy_atom(c, atom, len))
            return false;
    return emit(c, MS_PATTERN_FORK, -(ptrdiff_t)len);
}

/* Copies are made of the last atom, whose ways all end in it or right behind it. */
static bool repeat(struct compiler *c, uint32_t least, uint32_t most) {
    size_t atom = top(c)->atom, len = c->count - atom;
    top(c)->atom = NONE; /* RE2 refuses a repetition of a repetition, too */
    if (most == WITHOUT_END)
        return repeat_for_ever(c, atom, len, least);
    if (most == 0) {
        c->count = atom;
        return true;
    }
    uint32_t copies = most - 1;
    size_t first = atom;
    if (least == 0) {
        if (!insert(c, atom, MS_PATTERN_FORK, 0))
            return false;
        first++;
    }
    for (uint32_t i = 0; i < copies; i++)
        if ((i + 1 >= least && !emit(c, MS_PATTERN_FORK, 0)) || !copy_atom(c, first, len))
            return false;
    /* All that leave the rest out go behind it. */
    for (uint32_t i = least; i < most; i++) {
        size_t fork = c->count - (most - i) * (len + 1);
        c->code[fork].by = (int16_t)(c->count - fork);
    }
    return true;
}

static bool read_number(struct compiler *c, uint32_t *ret_number) {
    size_t from = c->at;
    uint32_t number = 0;
    for (; c->at < c->text.len && c->text.data[c->at] >= '0' && c->text.data[c->at] <= '9'; c->at++)
        if (number <= TIMES_MAX)
            number = number * 10 + (uint32_t)(c->text.data[c->at] - '0');
    *ret_number = number;
    return c->at > from && number <= TIMES_MAX;
}

/* Behind a '{'. */
static bool read_times(struct compiler *c, uint32_t *ret_least, uint32_t *ret_most) {
    if (!read_number(c, ret_least))
        return false;
    *ret_most = *ret_least;
    if (skip(c, ',')) {
        *ret_most = WITHOUT_END;
        if (!has(c, '}') && !read_number(c, ret_most))
            return false;
    }
    return skip(c, '}') && *ret_least <= *ret_most;
}

static bool take_repetition(struct compiler *c, uint8_t byte) {
    uint32_t least = byte == '+', most = byte == '?' ? 1 : WITHOUT_END;
    if (top(c)->atom == NONE || (byte == '{' && !read_times(c, &least, &most)))
        return false;
    skip(c, '?'); /* a lazy one stands for the same names */
    return repeat(c, least, most);
}

/* ---- sets ---- */

static void add_range(struct ms_pattern_set *set, unsigned from, unsigned to) {
    for (unsigned byte = from; byte <= to; byte++)
        set->bits[byte / 64] |= UINT64_C(1) << (byte % 64);
}

static void invert(struct ms_pattern_set *set) {
    for (size_t i = 0; i < sizeof set->bits / sizeof *set->bits; i++)
        set->bits[i] = ~set->bits[i];
}

static void add_set(struct ms_pattern_set *set, const struct ms_pattern_set *more) {
    for (size_t i = 0; i < sizeof set->bits / sizeof *set->bits; i++)
        set->bits[i] |= more->bits[i];
}

/* Pairs: from, to. */
static struct ms_pattern_set set_of(const char *ranges) {
    struct ms_pattern_set set = {{0}};
    for (; *ranges; ranges += 2)
        add_range(&set, (uint8_t)ranges[0], (uint8_t)ranges[1]);
    return set;
}

/* \d and the like. */
static bool set_of_letter(uint8_t letter, struct ms_pattern_set *ret_set) {
    uint8_t small = letter | 0x20;
    if (small != 'd' && small != 'w' && small != 's')
        return false;
    *ret_set = set_of(small == 'd' ? "09" : small == 'w' ? "09AZaz__" : "\t\n\f\r  ");
    if (letter != small)
        invert(ret_set);
    return true;
}

static bool is_plain(uint8_t byte) { /* a backslash before it means the byte itself */
    struct ms_pattern_set letters = set_of("09AZaz");
    return byte < 128 && !((letters.bits[byte / 64] >> (byte % 64)) & 1);
}

/* Behind "[:". */
static bool add_class(struct compiler *c, struct ms_pattern_set *set) {
    static const struct {
        const char *name, *ranges;
    } classes[] = {
        {"alnum:]", "09AZaz"},   {"alpha:]", "AZaz"},
        {"ascii:]", "\x01\x7f"}, {"blank:]", "\t\t  "},
        {"digit:]", "09"},       {"lower:]", "az"},
        {"graph:]", "!~"},       {"print:]", " ~"},
        {"punct:]", "!/:@[`{~"}, {"space:]", "\t\r  "},
        {"upper:]", "AZ"},       {"word:]", "09AZaz__"},
        {"xdigit:]", "09AFaf"},  {"cntrl:]", "\x01\x1f\x7f\x7f"},
    };
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        struct ms_bytes name = ms_bytes_cstr(classes[i].name);
        if (c->text.len - c->at < name.len ||
            memcmp(c->text.data + c->at, name.data, name.len) != 0)
            continue;
        struct ms_pattern_set more = set_of(classes[i].ranges);
        add_set(set, &more);
        c->at += name.len;
        return true;
    }
    return false;
}

/* One byte in a set, which may begin or end a range. */
static bool take_member(struct compiler *c, uint8_t *ret_byte) {
    if (skip(c, '\\') && (c->at == c->text.len || !is_plain(c->text.data[c->at])))
        return false;
    if (c->at == c->text.len)
        return false;
    *ret_byte = c->text.data[c->at++];
    return true;
}

static bool take_members(struct compiler *c, struct ms_pattern_set *set) {
    struct ms_pattern_set more;
    uint8_t from, to;
    size_t left = c->text.len - c->at;
    const uint8_t *text = c->text.data + c->at;
    if (left > 1 && text[0] == '[' && text[1] == ':') {
        c->at += 2;
        return add_class(c, set);
    }
    if (left > 1 && text[0] == '\\' && set_of_letter(text[1], &more)) {
        c->at += 2;
        add_set(set, &more);
        return true;
    }
    if (!take_member(c, &from))
        return false;
    to = from;
    bool is_range = has(c, '-') && c->at + 1 < c->text.len && c->text.data[c->at + 1] != ']';
    c->at += is_range;
    if (is_range && !take_member(c, &to))
        return false;
    add_range(set, from, to);
    return from <= to;
}

static bool emit_set(struct compiler *c, const struct ms_pattern_set *set) {
    c->sets[c->set_count] = *set; /* each takes a byte of the text at least */
    return emit_atom(c, MS_PATTERN_SET, (ptrdiff_t)c->set_count++);
}

/* Behind a '['. */
static bool take_set(struct compiler *c) {
    struct ms_pattern_set set = {{0}};
    bool inverted = skip(c, '^');
    do { /* a ']' that comes first is one of the set */
        if (!take_members(c, &set))
            return false;
    } while (!skip(c, ']'));
    if (inverted)
        invert(&set);
    return emit_set(c, &set);
}

static bool take_escape(struct compiler *c) {
    struct ms_pattern_set set;
    if (c->at == c->text.len)
        return false;
    uint8_t byte = c->text.data[c->at++];
    if (set_of_letter(byte, &set))
        return emit_set(c, &set);
    return is_plain(byte) && emit_atom(c, MS_PATTERN_BYTE, byte);
}

/* ---- alternatives and brackets ---- */

static void open_level(struct compiler *c) {
    *top(c) = (struct level){c->count, c->count, NONE, NONE};
}

static bool take_bracket(struct compiler *c) {
    if (skip(c, '?') && !skip(c, ':'))
        return false;
    top(c)->atom = c->count;
    if (c->depth + 1 == LEVELS_MAX)
        return false;
    c->depth++;
    open_level(c);
    return true;
}

/* Until the level is closed, an alternative's JUMP says how far before it the last such one is. */
static bool take_bar(struct compiler *c) {
    struct level *level = top(c);
    ptrdiff_t len = (ptrdiff_t)(c->count - level->alternative);
    if (!insert(c, level->alternative, MS_PATTERN_FORK, len + 2) || !emit(c, MS_PATTERN_JUMP, 0))
        return false;
    size_t jump = c->count - 1;
    c->code[jump].by = (int16_t)(level->jump == NONE ? 0 : jump - level->jump);
    level->jump = jump;
    level->alternative = c->count;
    level->atom = NONE;
    return true;
}

static void close_level(struct compiler *c) {
    size_t jump = top(c)->jump;
    while (jump != NONE) {
        size_t back = (size_t)c->code[jump].by;
        c->code[jump].by = (int16_t)(c->count - jump);
        jump = back == 0 ? NONE : jump - back;
    }
}

static bool take_closing(struct compiler *c) {
    if (c->depth == 0)
        return false;
    close_level(c);
    c->depth--;
    return true;
}

/* ---- the whole ---- */

static bool take(struct compiler *c) {
    uint8_t byte = c->text.data[c->at++];
    switch (byte) {
    case '\\':
        return take_escape(c);
    case '[':
        return take_set(c);
    case '(':
        return take_bracket(c);
    case ')':
        return take_closing(c);
    case '|':
        return take_bar(c);
    case '*':
    case '+':
    case '?':
    case '{':
        return take_repetition(c, byte);
    case '.':
        return emit_atom(c, MS_PATTERN_ANY, 0);
    case '^':
        return emit_atom(c, MS_PATTERN_BEGIN, 0);
    case '$':
        return emit_atom(c, MS_PATTERN_END, 0);
    default:
        return byte != 0 && emit_atom(c, MS_PATTERN_BYTE, byte);
    }
}

static bool compile(struct compiler *c) {
    open_level(c);
    while (c->at < c->text.len)
        if (!take(c))
            return false;
    close_level(c);
    return c->depth == 0 && emit(c, MS_PATTERN_DONE, 0);
}

static int keep(const struct compiler *c, struct ms_pattern *ret_pattern) {
    struct ms_pattern pattern = {
        .code = ms_alloc(c->count * sizeof *c->code),
        .sets = ms_alloc(c->set_count * sizeof *c->sets),
        .count = c->count,
    };
    if (!pattern.code || !pattern.sets) {
        ms_pattern_deinit(&pattern);
        return MS_ENOMEM;
    }
    memcpy(pattern.code, c->code, c->count * sizeof *c->code);
    memcpy(pattern.sets, c->sets, c->set_count * sizeof *c->sets);
    *ret_pattern = pattern;
    return 0;
}

int ms_pattern_init(struct ms_pattern *pattern, struct ms_bytes text) {
    if (text.len == 0 || text.len > MS_PATTERN_BYTES_MAX)
        return MS_EINVAL;
    struct compiler *c = ms_alloc(sizeof *c);
    if (!c)
        return MS_ENOMEM;
    c->text = text;
    c->at = c->depth = c->count = c->set_count = 0;
    int rc = compile(c) ? keep(c, pattern) : MS_EINVAL;
    ms_free(c);
    return rc;
}
