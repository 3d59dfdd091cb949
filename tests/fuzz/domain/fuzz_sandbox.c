/*
 * Arbitrary text as a module: it is loaded or refused within its budgets, twice the same, no
 * message shows an address, and nothing is left of it.
 */
#include "domain/lua_json.h"
#include "domain/module.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool shows_an_address(const char *text) { return strstr(text, ": 0x") != NULL; }

static int load(struct ms_bytes source, struct ms_sandbox_failure *ret_failure) {
    static const struct ms_sandbox_limits limits = {
        .steps = 100000, .memory_bytes = (size_t)2 << 20, .time_us = 60000000};
    struct ms_module_file file = {"fuzz.lua", source};
    struct ms_module *module;
    int code = ms_module_new(&file, 1, &limits, ms_clock_system(), &module, ret_failure);
    if (code == 0)
        ms_module_free(module);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ms_sandbox_failure first = {0}, second = {0};
    if (size > 16384)
        return 0;
    int code = load(ms_bytes_of(data, size), &first);
    MS_ASSERT(load(ms_bytes_of(data, size), &second) == code);
    MS_ASSERT(first.outcome == second.outcome);
    MS_ASSERT(strcmp(first.code, second.code) == 0);
    MS_ASSERT(strcmp(first.text, second.text) == 0);
    bool says_so_itself = memmem(data, size, "0x", 2) != NULL;
    MS_ASSERT(says_so_itself || !shows_an_address(first.text));
    return 0;
}
