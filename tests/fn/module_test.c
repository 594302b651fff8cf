/* Catches a module being taken that must be refused, or refused without its reason; instances being used again
 * where the reset is not complete; and compiled code taken from a damaged cache. */
#include "fn/fn_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CODE(bytes) .code = (const uint8_t *)(bytes), .code_bytes = sizeof(bytes) - 1

static enum cairn_code compile(struct fn_lab *lab, const struct fn_binary *binary, struct cairn_module **ret_module)
{
    struct cairn_buf wasm = fn_binary_make(binary);
    enum cairn_code code;

    lab->err = (struct cairn_err){0};
    code = cairn_module_compile(lab->fn, cairn_buf_bytes(&wasm), ret_module, &lab->err);
    cairn_buf_done(&wasm);
    return code;
}

static void refusals(void **state)
{
    static const struct {
        const char *label;
        struct fn_binary binary;
        enum cairn_code want;
        const char *says;
    } rows[] = {
        {"the least", {0}, CAIRN_OK, ""},
        {"a host call", {.import_module = "cairn", .import_name = "exit"}, CAIRN_OK, ""},
        {"not core", {.version = 13}, CAIRN_EMODULE, "not a core WebAssembly module"},
        {"unknown import", {.import_module = "cairn", .import_name = "nothing"}, CAIRN_EMODULE, "'cairn.nothing'"},
        {"other import", {.import_module = "env", .import_name = "exit"}, CAIRN_EMODULE, "'env.exit'"},
        {"imported memory",
         {.import_module = "cairn", .import_name = "exit", .import_kind = 2},
         CAIRN_EMODULE,
         "not a function"},
        {"imported global",
         {.import_module = "cairn", .import_name = "exit", .import_kind = 3},
         CAIRN_EMODULE,
         "not a function"},
        {"a host call of another type",
         {.import_module = "cairn", .import_name = "now"},
         CAIRN_EMODULE,
         "do not fit the guest ABI"},
        {"no cairn.types", {.no_types = true}, CAIRN_EMODULE, "no section cairn.types"},
        {"two of them", {.two_types = true}, CAIRN_EMODULE, "two sections"},
        {"bad cairn.types", {.types = "abi 1\nmodul m\n"}, CAIRN_EMODULE, "line 2"},
        {"other ABI", {.types = "abi 7\nmodule m\ntype T\n"}, CAIRN_EVERSION, "ABI 7"},
        {"method not exported", {.export_missing = true}, CAIRN_EMODULE, "T.f is declared and not exported"},
        {"exported under another name", {.export_name = "T.g"}, CAIRN_EMODULE, "T.f is declared and not exported"},
        {"a method with a result", {.with_result = true}, CAIRN_EMODULE, "T.f is exported with parameters or results"},
        {"a method that is a memory", {.types = "abi 1\nmodule m\ntype T\n", .export_name = "x"}, CAIRN_OK, ""},
        {"no memory", {.no_memory = true, .no_memory_export = true}, CAIRN_EMODULE, "one memory"},
        {"memory not exported", {.no_memory_export = true}, CAIRN_EMODULE, "one memory"},
        {"two memories", {.two_memories = true}, CAIRN_EMODULE, "one memory"},
        {"as much memory as there may be", {.pages = 256}, CAIRN_OK, ""},
        {"more", {.pages = 257}, CAIRN_EMODULE, "16448 KiB"},
        {"far more", {.pages = 65536}, CAIRN_EMODULE, "limit is 16384 KiB"},
        {"a start function", {.start = true}, CAIRN_EMODULE, "start function"},
        {"data outside", {.data_at = 65536}, CAIRN_EMODULE, "do not fit"},
        {"data at the end", {.data_at = 65535}, CAIRN_OK, ""},
        {"invalid code", {CODE("\x6a")}, CAIRN_EMODULE, "does not compile"},
        {"several memories in code", {CODE("\x41\0\x28\x40\x01\0\x1a")}, CAIRN_EMODULE, "does not compile"},
        {"a tail call", {CODE("\x12\0")}, CAIRN_EMODULE, "does not compile"},
        {"an atomic instruction", {CODE("\xfe\x03\0")}, CAIRN_EMODULE, "does not compile"},
    };
    struct fn_lab *lab = fn_lab_create(NULL);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cairn_module *module = NULL;
        enum cairn_code code = compile(lab, &rows[i].binary, &module);

        if (code != rows[i].want || !strstr(lab->err.text, rows[i].says))
            fail_msg("%s: %s, '%s'", rows[i].label, cairn_code_name(code), lab->err.text);
        assert_true((code == CAIRN_OK) == (module != NULL));
        cairn_module_unref(module);
    }
    fn_lab_destroy(lab);
}

/* Bytes that are no module; every module cut off at every byte. */
static void nonsense(void **state)
{
    struct fn_binary binary = {.global = true, .global_exported = true, .table = true, .data_at = 9};
    struct cairn_buf wasm = fn_binary_make(&binary);
    struct fn_lab *lab = fn_lab_create(NULL);
    struct cairn_module *module = NULL;

    (void)state;
    assert_int_equal(cairn_module_compile(lab->fn, cairn_str(""), &module, &lab->err), CAIRN_EMODULE);
    assert_int_equal(cairn_module_compile(lab->fn, cairn_str("hello world, hello"), &module, &lab->err), CAIRN_EMODULE);
    assert_non_null(strstr(lab->err.text, "not a WebAssembly module"));
    for (size_t n = 0; n < wasm.size; n++)
        assert_int_equal(cairn_module_compile(lab->fn, cairn_bytes(wasm.data, n), &module, &lab->err), CAIRN_EMODULE);
    assert_int_equal(cairn_module_compile(lab->fn, cairn_buf_bytes(&wasm), &module, &lab->err), CAIRN_OK);
    cairn_module_unref(module);
    cairn_buf_done(&wasm);
    fn_lab_destroy(lab);
}

static void too_large(void **state)
{
    struct cairn_fn_options options = {
        .clock = cairn_clock_system(), .workers = 1, .fibers_per_worker = 2, .module_bytes_max = 1000};
    struct fn_lab *lab = fn_lab_create(&options);
    struct cairn_module *module = NULL;
    struct cairn_buf wasm = {0};

    (void)state;
    memset(cairn_buf_reserve(&wasm, 1001), 0, 1001);
    wasm.size = 1001;
    assert_int_equal(cairn_module_compile(lab->fn, cairn_buf_bytes(&wasm), &module, &lab->err), CAIRN_ELIMIT);
    assert_non_null(strstr(lab->err.text, "1001 bytes, the limit is 1000"));
    cairn_buf_done(&wasm);
    fn_lab_destroy(lab);
}

/* What a module's code may do decides whether its instances are used again; wrong either way is wrong. */
static void reusable(void **state)
{
    static const struct {
        const char *label;
        struct fn_binary binary;
        bool want;
    } rows[] = {
        {"nothing", {0}, true},
        {"a table that code only calls through", {.table = true, CODE("\x41\0\x11\0\0")}, true},
        {"memory.grow", {CODE("\x41\x01\x40\0\x1a")}, true},
        {"loops, branches, br_table", {CODE("\x03\x40\x41\0\x0e\x01\x01\0\x0b")}, true},
        {"64-bit constants", {CODE("\x42\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f\x1a")}, true},
        {"floats", {CODE("\x44\0\0\0\0\0\0\xf0\x3f\xfc\x07\x1a")}, true}, /* i64.trunc_sat_f64_u */
        {"SIMD",
         {CODE("\xfd\x0c\0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\xfd\x15\x03\x1a")},
         true},
        {"a global", {.global = true, .global_exported = true, CODE("\x41\x05\x24\0")}, true},
        {"a hidden global", {.global = true, CODE("\x41\x05\x24\0")}, false},
        {"memory.fill", {CODE("\x41\0\x41\0\x41\0\xfc\x0b\0")}, false},
        {"memory.copy", {CODE("\x41\0\x41\0\x41\0\xfc\x0a\0\0")}, false},
        {"table.set", {.table = true, CODE("\x41\0\xd0\x70\x26\0")}, false},
        {"table.grow", {.table = true, CODE("\xd0\x70\x41\x01\xfc\x0f\0\x1a")}, false},
        {"table.copy", {.table = true, CODE("\x41\0\x41\0\x41\0\xfc\x0e\0\0")}, false},
        {"elem.drop", {.table = true, CODE("\xfc\x0d\0")}, false},
        {"select of a type", {CODE("\x41\0\x41\0\x41\0\x1c\x01\x7f\x1a")}, false},
    };
    struct fn_lab *lab = fn_lab_create(NULL);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cairn_module *module = NULL;

        if (compile(lab, &rows[i].binary, &module) != CAIRN_OK)
            fail_msg("%s: %s", rows[i].label, lab->err.text);
        if (module->reusable != rows[i].want)
            fail_msg("%s: reusable is %d", rows[i].label, module->reusable);
        /* Reusable or not, it runs, several times and both ways. */
        for (int k = 0; k < 4; k++) {
            fn_lab_force(&module->types[0].methods[0], k >= 2);
            fn_lab_start(lab, module, "T.f");
            if (lab->state != CAIRN_RUN_DONE && lab->err.code != CAIRN_ETRAP)
                fail_msg("%s: %s", rows[i].label, lab->err.text);
        }
        cairn_module_unref(module);
        cairn_fn_worker_trim(lab->worker);
    }
    fn_lab_destroy(lab);
}

/* Runs `code`, which traps if it finds what an earlier run of it left; both ways. */
static void must_not_leak(const char *label, const struct fn_binary *binary)
{
    struct fn_lab *lab = fn_lab_create(NULL);
    struct cairn_module *module = NULL;

    if (compile(lab, binary, &module) != CAIRN_OK)
        fail_msg("%s: %s", label, lab->err.text);
    for (int k = 0; k < 8; k++) {
        fn_lab_force(&module->types[0].methods[0], k >= 4);
        if (fn_lab_start(lab, module, "T.f") != CAIRN_RUN_DONE)
            fail_msg("%s, run %d: %s", label, k, lab->err.text);
    }
    cairn_module_unref(module);
    fn_lab_destroy(lab);
}

static void nothing_leaks(void **state)
{
    (void)state;
    /* global.get 0; i32.const 7; i32.ne; if; unreachable; end; i32.const 5; global.set 0 */
#define GLOBAL_CODE "\x23\0\x41\x07\x47\x04\x40\0\x0b\x41\x05\x24\0"
    must_not_leak("an exported global",
                  &(struct fn_binary){.global = true, .global_exported = true, CODE(GLOBAL_CODE)});
    must_not_leak("a hidden global", &(struct fn_binary){.global = true, CODE(GLOBAL_CODE)});
    /* The table's entry 3 must be null: i32.const 3; table.get 0; ref.is_null; i32.eqz; if; unreachable; end;
     * i32.const 3; i32.const 0; table.get 0; table.set 0 */
    must_not_leak(
        "a table",
        &(struct fn_binary){.table = true, CODE("\x41\x03\x25\0\xd1\x45\x04\x40\0\x0b\x41\x03\x41\0\x25\0\x26\0")});
    /* memory.size must be 1, then it grows */
    must_not_leak("memory's size", &(struct fn_binary){CODE("\x3f\0\x41\x01\x47\x04\x40\0\x0b\x41\x01\x40\0\x1a")});
    /* The last word must be 0, then memory is filled through a library call: bulk memory, never reused. */
    must_not_leak(
        "memory.fill",
        &(struct fn_binary){CODE("\x41\xfc\xff\x03\x28\x02\0\x04\x40\0\x0b\x41\0\x41\x7f\x41\x80\x80\x04\xfc\x0b\0")});
    /* The byte of a data segment must be as it was: i32.const 9; i32.load8_u; i32.const 'x'; i32.ne; if ... */
    must_not_leak(
        "data",
        &(struct fn_binary){.data_at = 9, CODE("\x41\x09\x2d\0\0\x41\xf8\0\x47\x04\x40\0\x0b\x41\x09\x41\0\x3a\0\0")});
    /* Stores of every width into the last bytes, and one that begins inside the window and ends outside. */
    must_not_leak("stores beyond the window",
                  &(struct fn_binary){CODE("\x41\xf8\xff\x03\x29\x03\0\x50\x45\x04\x40\0\x0b" /* i64.load, eqz */
                                           "\x41\xf8\xff\x03\x42\x7f\x37\x03\0"               /* i64.store */
                                           "\x41\xff\xff\x03\x41\x7f\x3a\0\0"                 /* i32.store8 */
                                           "\x41\xfe\xff\x03\x41\x7f\x3b\0\0"                 /* i32.store16 */
                                           "\x41\xfc\xff\x03\x43\0\0\x80\x3f\x38\x02\0"       /* f32.store */
                                           "\x41\xfc\xff\0\x42\x7f\x37\0\0")});               /* i64.store at 16380 */
}

/* --- the cache of compiled code --- */

static struct fn_lab *lab_with_cache(struct cairn_disk *disk, bool deterministic)
{
    struct cairn_fn_options options = {.clock = cairn_clock_system(),
                                       .workers = 1,
                                       .fibers_per_worker = 2,
                                       .cache_disk = disk,
                                       .cache_dir = "compiled",
                                       .deterministic = deterministic};

    return fn_lab_create(&options);
}

static char cache_name[CAIRN_PATH_BYTES];
static unsigned cache_files;

static void note_name(void *context, const char *name)
{
    (void)context;
    snprintf(cache_name, sizeof cache_name, "compiled/%s", name);
    cache_files++;
}

static void find_cache(struct cairn_disk *disk)
{
    struct cairn_err err;

    cache_files = 0;
    assert_int_equal(disk->ops->list(disk, "compiled", note_name, NULL, &err), CAIRN_OK);
}

static void compile_and_run(struct fn_lab *lab)
{
    struct cairn_module *module = fn_lab_module(lab, "micro");

    fn_host_args(lab->host, "x", NULL);
    assert_int_equal(fn_lab_run(lab, module, "Micro.leaf"), CAIRN_RUN_DONE);
    cairn_module_unref(module);
    cairn_fn_worker_trim(lab->worker);
}

static void cache_is_used(void **state)
{
    struct cairn_disk *disk = cairn_sim_disk_create(1);
    struct fn_lab *lab = lab_with_cache(disk, false), *other;
    struct cairn_clock *clock = cairn_clock_system();
    uint64_t start, cold, warm;

    (void)state;
    start = clock->monotonic_ns(clock);
    compile_and_run(lab);
    cold = clock->monotonic_ns(clock) - start;
    find_cache(disk);
    assert_int_equal(cache_files, 1);
    start = clock->monotonic_ns(clock);
    compile_and_run(lab);
    warm = clock->monotonic_ns(clock) - start;
    assert_true(warm < cold);

    other = lab_with_cache(disk, true); /* other code, another file */
    compile_and_run(other);
    find_cache(disk);
    assert_int_equal(cache_files, 2);
    fn_lab_destroy(other);
    fn_lab_destroy(lab);
    cairn_disk_close(disk);
}

/* Every damage is found, what is damaged is not run but made anew, and then it is whole again. */
static void damaged_cache(void **state)
{
    struct cairn_disk *disk = cairn_sim_disk_create(1);
    struct fn_lab *lab = lab_with_cache(disk, false);
    uint8_t *bytes, *whole;
    size_t size, whole_size;
    struct cairn_err err;

    (void)state;
    compile_and_run(lab);
    find_cache(disk);
    bytes = cairn_sim_disk_bytes(disk, cache_name, &whole_size);
    assert_non_null(bytes);
    whole = cairn_alloc(whole_size);
    memcpy(whole, bytes, whole_size);
    for (size_t at = 0; at < whole_size; at += at < 120 ? 7 : 9973) {
        bytes = cairn_sim_disk_bytes(disk, cache_name, &size);
        bytes[at] ^= 0x10;
        compile_and_run(lab);
        bytes = cairn_sim_disk_bytes(disk, cache_name, &size);
        assert_int_equal(size, whole_size);
        if (memcmp(bytes, whole, size) != 0)
            fail_msg("a flipped bit at %zu was not repaired", at);
    }
    for (size_t n = 0; n < whole_size; n = n * 5 + 1) {
        assert_int_equal(cairn_disk_replace_file(disk, cache_name, cairn_bytes(whole, n), &err), CAIRN_OK);
        compile_and_run(lab);
        bytes = cairn_sim_disk_bytes(disk, cache_name, &size);
        assert_true(size == whole_size && memcmp(bytes, whole, size) == 0);
    }
    free(whole);
    fn_lab_destroy(lab);
    cairn_disk_close(disk);
}

/* A disk that fails costs the cache, never the module. */
static void failing_cache(void **state)
{
    struct cairn_disk *disk = cairn_sim_disk_create(1);
    struct fn_lab *lab = lab_with_cache(disk, false);

    (void)state;
    for (int64_t n = 0; n < 30; n++) {
        cairn_sim_disk_fail_call(disk, n, CAIRN_EIO);
        compile_and_run(lab);
        cairn_sim_disk_fail_call(disk, -1, CAIRN_OK);
    }
    cairn_sim_disk_set_room(disk, 0);
    compile_and_run(lab);
    fn_lab_destroy(lab);
    cairn_disk_close(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals),      cmocka_unit_test(nonsense),      cmocka_unit_test(too_large),
        cmocka_unit_test(reusable),      cmocka_unit_test(nothing_leaks), cmocka_unit_test(cache_is_used),
        cmocka_unit_test(damaged_cache), cmocka_unit_test(failing_cache),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
