/* Compares the scan that decides whether an instance is used again with Wasmtime, an independent reader of the same
 * bytes.  Catches an instruction that Wasmtime takes and the scan does not read as it does, in code of every
 * instruction of WebAssembly 2.0 in every form of a block; one that changes a table or a segment and is taken for
 * harmless; and a proposal that Wasmtime takes although the scan knows nothing of it. */
#include "fn/fn_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"

#include <cmocka.h>

enum { MODULES = 400, DEPTH_MAX = 5, UNKNOWN_ONE_IN = 300 };

/* A body as it is made.  What follows `unreachable` validates whatever it takes from the stack and leaves there, so one
 * stands before and behind each instruction. */
struct body {
    struct cairn_random random;
    struct cairn_buf code;
    bool unknown; /* it has one that is not to be known */
};

static uint32_t below(struct body *b, uint32_t bound)
{
    return (uint32_t)cairn_random_below(&b->random, bound);
}

static void put(struct body *b, uint8_t byte)
{
    cairn_buf_u8(&b->code, byte);
}

/* Of a random length, which may be longer than needed. */
static void put_u32(struct body *b, uint32_t v)
{
    uint32_t more = below(b, 3);

    for (int n = 1; n < 5 && (v >= 0x80 || more > 0); n++, v >>= 7) {
        if (v < 0x80)
            more--;
        put(b, (uint8_t)(v | 0x80));
    }
    put(b, (uint8_t)v);
}

static void put_memarg(struct body *b)
{
    put_u32(b, 0);
    put_u32(b, (uint32_t)cairn_random_u64(&b->random) >> below(b, 32));
}

static void put_random(struct body *b, int count, uint8_t bound)
{
    for (int i = 0; i < count; i++)
        put(b, (uint8_t)below(b, bound));
}

/* Signed: bytes that go on, and one that does not and has nothing but the sign. */
static void put_signed(struct body *b, uint32_t bytes_max)
{
    uint32_t n = below(b, bytes_max);

    for (uint32_t i = 0; i < n; i++)
        put(b, (uint8_t)(0x80 | below(b, 128)));
    put(b, below(b, 2) ? 0x7f : 0x00);
}

static bool simd_exists(uint32_t code)
{
    static const uint8_t missing[] = {0x9a, 0xa2, 0xa5, 0xa6, 0xaf, 0xb0, 0xb2, 0xb3, 0xb4, 0xbb,
                                      0xc2, 0xc5, 0xc6, 0xcf, 0xd0, 0xd2, 0xd3, 0xd4, 0xe2, 0xee};

    return !memchr(missing, (int)code, sizeof missing);
}

static void put_simd(struct body *b)
{
    uint32_t code;

    do
        code = below(b, 256);
    while (!simd_exists(code));
    put(b, 0xfd);
    put_u32(b, code);
    if (code <= 0x0b || code == 0x5c || code == 0x5d)
        put_memarg(b);
    else if (code == 0x0c)
        put_random(b, 16, 255);
    else if (code == 0x0d)
        put_random(b, 16, 32);
    else if (code >= 0x15 && code <= 0x22)
        put(b, 0);
    else if (code >= 0x54 && code <= 0x5b) {
        put_memarg(b);
        put(b, 0);
    }
}

static void put_unknown(struct body *b)
{
    static const struct {
        uint8_t bytes[4], count;
    } all[] = {
        {{0x25, 0}, 2},        {{0x26, 0}, 2},        {{0xd0, 0x70}, 2},  {{0xd1}, 1},           {{0xd2, 0}, 2},
        {{0x1c, 1, 0x7f}, 3},  {{0xfc, 10, 0, 0}, 4}, {{0xfc, 11, 0}, 3}, {{0xfc, 12, 0, 0}, 4}, {{0xfc, 13, 0}, 3},
        {{0xfc, 14, 0, 0}, 4}, {{0xfc, 15, 0}, 3},    {{0xfc, 16, 0}, 3}, {{0xfc, 17, 0}, 3},
    };
    size_t i = below(b, sizeof all / sizeof *all);

    cairn_buf_add(&b->code, all[i].bytes, all[i].count);
    b->unknown = true;
}

static void put_plain(struct body *b)
{
    static const uint8_t others[] = {0x00, 0x01, 0x0f, 0x1a, 0x1b};

    switch (below(b, 10)) {
    case 0:
        put(b, others[below(b, sizeof others)]);
        return;
    case 1:
        put(b, (uint8_t)(0x28 + below(b, 0x3f - 0x28)));
        put_memarg(b);
        return;
    case 2: /* local.get, .set, .tee, global.get, .set; br, br_if; call */
        put(b, (const uint8_t[]){0x20, 0x21, 0x22, 0x23, 0x24, 0x0c, 0x0d, 0x10}[below(b, 8)]);
        put_u32(b, 0);
        return;
    case 3:
        put(b, 0x11);
        put_u32(b, 0);
        put_u32(b, 0);
        return;
    case 4: {
        uint32_t count = below(b, 5);

        put(b, 0x0e);
        put_u32(b, count);
        for (uint32_t i = 0; i <= count; i++)
            put_u32(b, 0);
        return;
    }
    case 5:
        put(b, (uint8_t)(0x3f + below(b, 2)));
        put(b, 0);
        return;
    case 6:
        put(b, (uint8_t)(0x41 + below(b, 4)));
        switch (b->code.data[b->code.size - 1]) {
        case 0x41:
            put_signed(b, 5);
            return;
        case 0x42:
            put_signed(b, 10);
            return;
        default:
            put_random(b, b->code.data[b->code.size - 1] == 0x43 ? 4 : 8, 255);
            return;
        }
    case 7:
        put(b, 0xfc);
        put_u32(b, below(b, 8));
        return;
    case 8:
        put_simd(b);
        return;
    default:
        put(b, (uint8_t)(0x45 + below(b, 0xc5 - 0x45)));
    }
}

static void put_block_type(struct body *b)
{
    static const uint8_t types[] = {0x40, 0x7f, 0x7e, 0x7d, 0x7c, 0x7b};

    switch (below(b, 12)) {
    case 0:
        put_u32(b, 0); /* a type by number: () -> () */
        return;
    case 1:
        if (below(b, UNKNOWN_ONE_IN / 10) == 0) {
            put(b, 0x70); /* funcref */
            b->unknown = true;
            return;
        }
        __attribute__((fallthrough));
    default:
        put(b, types[below(b, sizeof types)]);
    }
}

static void put_code(struct body *b, int depth)
{
    for (uint32_t n = below(b, 12); n > 0; n--) {
        put(b, 0x00);
        if (below(b, UNKNOWN_ONE_IN) == 0) {
            put_unknown(b);
        } else if (depth < DEPTH_MAX && below(b, 4) == 0) {
            uint8_t kind = (uint8_t)(0x02 + below(b, 3));

            put(b, kind);
            put_block_type(b);
            put_code(b, depth + 1);
            if (kind == 0x04) {
                put(b, 0x05);
                put_code(b, depth + 1);
            }
            put(b, 0x0b);
        } else {
            put_plain(b);
        }
    }
    put(b, 0x00);
}

static void as_wasmtime_reads(void **state)
{
    struct fn_lab *lab = fn_lab_create(NULL);
    int reusable = 0, not_reusable = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= MODULES; seed++) {
        struct body body = {0};
        struct fn_binary binary = {.global = true, .global_exported = true, .table = true};
        struct cairn_module *module = NULL;
        struct cairn_buf wasm;

        cairn_random_init(&body.random, seed);
        put_code(&body, 0);
        binary.code = body.code.data;
        binary.code_bytes = body.code.size;
        wasm = fn_binary_make(&binary);
        if (cairn_module_compile(lab->fn, cairn_buf_bytes(&wasm), &module, &lab->err) != CAIRN_OK)
            fail_msg("seed %llu: Wasmtime refuses what is valid: %s", (unsigned long long)seed, lab->err.text);
        if (module->reusable != !body.unknown)
            fail_msg("seed %llu: reusable is %d", (unsigned long long)seed, module->reusable);
        *(module->reusable ? &reusable : &not_reusable) += 1;
        cairn_module_unref(module);
        cairn_buf_done(&wasm);
        cairn_buf_done(&body.code);
    }
    assert_true(reusable > MODULES / 10 && not_reusable > MODULES / 40); /* it showed both */
    fn_lab_destroy(lab);
}

/* One of each proposal, behind `unreachable`: Wasmtime must not take any. */
static void proposals_are_off(void **state)
{
#define FORM(label, bytes)                                                     \
    {                                                                          \
        label, (const uint8_t *)("\0" bytes "\0"), sizeof("\0" bytes "\0") - 1 \
    }
    static const struct {
        const char *label;
        const uint8_t *code;
        size_t bytes;
    } forms[] = {
        FORM("return_call", "\x12\0"),
        FORM("return_call_indirect", "\x13\0\0"),
        FORM("call_ref", "\x14\0"),
        FORM("return_call_ref", "\x15\0"),
        FORM("a block of (ref null 0)", "\x02\x63\0\0\x0b"),
        FORM("a block of (ref 0)", "\x02\x64\0\0\x0b"),
        FORM("a block of externref", "\x02\x6f\0\x0b"),
        FORM("a block of anyref", "\x02\x6e\0\x0b"),
        FORM("a block of exnref", "\x02\x69\0\x0b"),
        FORM("ref.as_non_null", "\xd4"),
        FORM("br_on_null", "\xd5\0"),
        FORM("br_on_non_null", "\xd6\0"),
        FORM("ref.eq", "\xd3"),
        FORM("ref.null of a type", "\xd0\0"),
        FORM("struct.new", "\xfb\0\0"),
        FORM("array.len", "\xfb\x0f"),
        FORM("ref.i31", "\xfb\x1c"),
        FORM("any.convert_extern", "\xfb\x1a"),
        FORM("try", "\x06\x40\0\x0b"),
        FORM("throw", "\x08\0"),
        FORM("throw_ref", "\x0a"),
        FORM("try_table", "\x1f\x40\0\0\x0b"),
        FORM("an atomic load", "\xfe\x10\x02\0"),
        FORM("atomic.fence", "\xfe\x03\0"),
        FORM("relaxed SIMD", "\xfd\x80\x02"),
        FORM("another memory", "\x28\x40\0\0"),
        FORM("memory.size of another memory", "\x3f\x01"),
        FORM("i64.add128", "\xfc\x13"),
        FORM("i64.mul_wide_u", "\xfc\x16"),
        FORM("memory.discard", "\xfc\x12\0"),
        FORM("cont.new", "\xe0\0"),
        FORM("suspend", "\xe2\0"),
    };
    struct fn_lab *lab = fn_lab_create(NULL);

    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct fn_binary binary = {.global = true,
                                   .global_exported = true,
                                   .table = true,
                                   .code = forms[i].code,
                                   .code_bytes = forms[i].bytes};
        struct cairn_buf wasm = fn_binary_make(&binary);
        struct cairn_module *module = NULL;
        enum cairn_code code = cairn_module_compile(lab->fn, cairn_buf_bytes(&wasm), &module, &lab->err);

        if (code != CAIRN_EMODULE)
            fail_msg("%s: %s", forms[i].label, code == CAIRN_OK ? "taken" : lab->err.text);
        cairn_buf_done(&wasm);
    }
    fn_lab_destroy(lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_wasmtime_reads),
        cmocka_unit_test(proposals_are_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
