/* Catches an instruction whose immediates the scan reads as too long or too short, so that bytes which Wasmtime runs
 * are not looked at: such a module could keep what one invocation left for the next.  Every opcode there is stands in
 * the tables, of one byte and behind each prefix, with all its immediates and whether it must be known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "base/bytes.h"
#include "fn/wasm_code.h"

#include <cmocka.h>

enum { TYPES = 200 }; /* that a block may name; more than 0x7f, so that all one-byte forms would be in range */

#define IMM(bytes) .imm = (const uint8_t *)(bytes), .imm_bytes = sizeof(bytes) - 1
#define NONE       IMM("")
#define LONG       "\xff\xff\xff\xff\x0f" /* the longest u32 */
#define V128       "\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x26\x26\x26\x26\x26\x26\x26\x26"

/* Opcodes first to last, each with these immediates. */
struct row {
    uint32_t first, last;
    const uint8_t *imm;
    size_t imm_bytes;
    bool known;
};

static const struct row one_byte[] = {
    {0x00, 0x01, NONE, true},                             /* unreachable, nop */
    {0x02, 0x04, IMM("\x40"), true},                      /* block, loop, if: no result */
    {0x02, 0x04, IMM("\x7f"), true},                      /* i32 */
    {0x02, 0x04, IMM("\x7e"), true},                      /* i64 */
    {0x02, 0x04, IMM("\x7d"), true},                      /* f32 */
    {0x02, 0x04, IMM("\x7c"), true},                      /* f64 */
    {0x02, 0x04, IMM("\x7b"), true},                      /* v128 */
    {0x02, 0x04, IMM("\x00"), true},                      /* a type by number */
    {0x02, 0x04, IMM("\x3f"), true},                      /* in one byte */
    {0x02, 0x04, IMM("\xc7\x01"), true},                  /* in two */
    {0x02, 0x04, IMM("\x80\x80\x80\x80\x00"), true},      /* in five */
    {0x02, 0x04, IMM("\xc8\x01"), false},                 /* there is no such type */
    {0x02, 0x04, IMM("\x80\x80\x80\x80\x80\x00"), false}, /* too long */
    {0x02, 0x04, IMM("\x80\x80\x80\x80\x20"), false},     /* a bit too much */
    {0x02, 0x04, IMM("\xff\x7f"), false},                 /* -1, which is i32 in one byte alone */
    {0x02, 0x04, IMM("\xe3\x7f"), false},                 /* and so with (ref null ...) */
    {0x02, 0x04, IMM("\x70"), false},                     /* funcref */
    {0x02, 0x04, IMM("\x6f"), false},                     /* externref */
    {0x02, 0x04, IMM("\x63\x00"), false},                 /* (ref null $t): the number is a byte more */
    {0x02, 0x04, IMM("\x63\x0e"), false},                 /* which could be taken for br_table */
    {0x02, 0x04, IMM("\x64\x00"), false},                 /* (ref $t) */
    {0x02, 0x04, IMM("\x62\x64\x00"), false},             /* exact ones */
    {0x05, 0x05, NONE, true},                             /* else */
    {0x06, 0x07, IMM("\x40"), false},                     /* try, catch: legacy exceptions */
    {0x08, 0x09, IMM("\x00"), false},                     /* throw, rethrow */
    {0x0a, 0x0a, NONE, false},                            /* throw_ref */
    {0x0b, 0x0b, NONE, true},                             /* end */
    {0x0c, 0x0d, IMM("\x00"), true},                      /* br, br_if */
    {0x0c, 0x0d, IMM(LONG), true},
    {0x0e, 0x0e, IMM("\x00\x00"), true},                     /* br_table */
    {0x0e, 0x0e, IMM("\x03\x00" LONG "\x01\x80\x00"), true}, /* three and the default */
    {0x0f, 0x0f, NONE, true},                                /* return */
    {0x10, 0x10, IMM("\x00"), true},                         /* call */
    {0x10, 0x10, IMM(LONG), true},
    {0x10, 0x10, IMM("\xff\xff\xff\xff\x1f"), false},     /* beyond 32 bits */
    {0x10, 0x10, IMM("\x80\x80\x80\x80\x80\x00"), false}, /* too long */
    {0x11, 0x11, IMM("\x00\x00"), true},                  /* call_indirect */
    {0x11, 0x11, IMM(LONG LONG), true},
    {0x12, 0x12, IMM("\x00"), false},     /* return_call */
    {0x13, 0x13, IMM("\x00\x00"), false}, /* return_call_indirect */
    {0x14, 0x15, IMM("\x00"), false},     /* call_ref, return_call_ref */
    {0x16, 0x17, NONE, false},
    {0x18, 0x18, IMM("\x00"), false},     /* delegate */
    {0x19, 0x19, NONE, false},            /* catch_all */
    {0x1a, 0x1b, NONE, true},             /* drop, select */
    {0x1c, 0x1c, IMM("\x01\x7f"), false}, /* select of a type */
    {0x1d, 0x1e, NONE, false},
    {0x1f, 0x1f, IMM("\x40\x00"), false}, /* try_table */
    {0x20, 0x24, IMM("\x00"), true},      /* local.get, set, tee, global.get, set */
    {0x20, 0x24, IMM(LONG), true},
    {0x25, 0x26, IMM("\x00"), false}, /* table.get, table.set */
    {0x27, 0x27, NONE, false},
    {0x28, 0x3e, IMM("\x00\x00"), true}, /* loads, stores */
    {0x28, 0x3e, IMM("\x00" LONG), true},
    {0x28, 0x3e, IMM("\x81\x80\x00\x80\x01"), true},
    {0x28, 0x3e, IMM("\x40\x00\x00"), false},             /* with a memory's number */
    {0x28, 0x3e, IMM("\x05\x00"), false},                 /* an alignment that there is not */
    {0x28, 0x3e, IMM("\x00\x80\x80\x80\x80\x10"), false}, /* an offset of 33 bits */
    {0x3f, 0x40, IMM("\x00"), true},                      /* memory.size, memory.grow */
    {0x3f, 0x40, IMM("\x01"), false},                     /* of another memory */
    {0x3f, 0x40, IMM("\x80\x00"), false},                 /* 0, but not as one byte */
    {0x41, 0x41, IMM("\x00"), true},                      /* i32.const */
    {0x41, 0x41, IMM("\x7f"), true},
    {0x41, 0x41, IMM("\xff\xff\xff\xff\x07"), true},  /* the greatest */
    {0x41, 0x41, IMM("\x80\x80\x80\x80\x78"), true},  /* the least */
    {0x41, 0x41, IMM("\x80\x80\x80\x80\x08"), false}, /* one more than the greatest */
    {0x41, 0x41, IMM("\x80\x80\x80\x80\x80\x00"), false},
    {0x42, 0x42, IMM("\x00"), true},                                     /* i64.const */
    {0x42, 0x42, IMM("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00"), true}, /* the greatest */
    {0x42, 0x42, IMM("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f"), true}, /* the least */
    {0x42, 0x42, IMM("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), false},
    {0x42, 0x42, IMM("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), false},
    {0x43, 0x43, IMM("\x26\x26\x26\x26"), true},                 /* f32.const */
    {0x44, 0x44, IMM("\x26\x26\x26\x26\x26\x26\x26\x26"), true}, /* f64.const */
    {0x45, 0xc4, NONE, true},                                    /* arithmetic */
    {0xc5, 0xcf, NONE, false},
    {0xd0, 0xd0, IMM("\x70"), false}, /* ref.null */
    {0xd1, 0xd1, NONE, false},        /* ref.is_null */
    {0xd2, 0xd2, IMM("\x00"), false}, /* ref.func */
    {0xd3, 0xd4, NONE, false},        /* ref.eq, ref.as_non_null */
    {0xd5, 0xd6, IMM("\x00"), false}, /* br_on_null, br_on_non_null */
    {0xd7, 0xdf, NONE, false},
    {0xe0, 0xe6, IMM("\x00\x00"), false}, /* stack switching */
    {0xe7, 0xfa, NONE, false},
    {0xfb, 0xfb, IMM("\x00\x00"), false},     /* garbage collection, see below */
    {0xfc, 0xfd, IMM("\xff\xff\x0f"), false}, /* numbers that nothing has; see below */
    {0xfe, 0xfe, IMM("\x03\x00"), false},     /* atomics, see below */
    {0xff, 0xff, NONE, false},
};

static const struct row numeric[] = {
    {0x00, 0x07, NONE, true},             /* saturating conversions */
    {0x08, 0x08, IMM("\x00\x00"), false}, /* memory.init */
    {0x09, 0x09, IMM("\x00"), false},     /* data.drop */
    {0x0a, 0x0a, IMM("\x00\x00"), false}, /* memory.copy */
    {0x0b, 0x0b, IMM("\x00"), false},     /* memory.fill */
    {0x0c, 0x0c, IMM("\x00\x00"), false}, /* table.init */
    {0x0d, 0x0d, IMM("\x00"), false},     /* elem.drop */
    {0x0e, 0x0e, IMM("\x00\x00"), false}, /* table.copy */
    {0x0f, 0x11, IMM("\x00"), false},     /* table.grow, size, fill */
    {0x12, 0x12, IMM("\x00"), false},     /* memory.discard */
    {0x13, 0x16, NONE, false},            /* wide arithmetic */
    {0x17, 0x1ff, NONE, false},
};

static const struct row simd[] = {
    {0x00, 0x0b, IMM("\x00\x00"), true}, /* loads, splats of what is loaded, v128.store */
    {0x00, 0x0b, IMM("\x04" LONG), true},
    {0x00, 0x0b, IMM("\x40\x00\x00"), false},
    {0x0c, 0x0d, IMM(V128), true},           /* v128.const, i8x16.shuffle */
    {0x0e, 0x14, NONE, true},                /* swizzle, splats */
    {0x15, 0x22, IMM("\x26"), true},         /* lanes */
    {0x23, 0x53, NONE, true},                /* comparisons, bits */
    {0x54, 0x5b, IMM("\x00\x00\x26"), true}, /* load and store of a lane */
    {0x54, 0x5b, IMM("\x01" LONG "\x00"), true},
    {0x5c, 0x5d, IMM("\x00\x00"), true}, /* v128.load32_zero, load64_zero */
    {0x5c, 0x5d, IMM("\x00" LONG), true},
    {0x5e, 0x99, NONE, true},
    {0x9a, 0x9a, NONE, false},
    {0x9b, 0xa1, NONE, true},
    {0xa2, 0xa2, NONE, false},
    {0xa3, 0xa4, NONE, true},
    {0xa5, 0xa6, NONE, false},
    {0xa7, 0xae, NONE, true},
    {0xaf, 0xb0, NONE, false},
    {0xb1, 0xb1, NONE, true},
    {0xb2, 0xb4, NONE, false},
    {0xb5, 0xba, NONE, true},
    {0xbb, 0xbb, NONE, false},
    {0xbc, 0xc1, NONE, true},
    {0xc2, 0xc2, NONE, false},
    {0xc3, 0xc4, NONE, true},
    {0xc5, 0xc6, NONE, false},
    {0xc7, 0xce, NONE, true},
    {0xcf, 0xd0, NONE, false},
    {0xd1, 0xd1, NONE, true},
    {0xd2, 0xd4, NONE, false},
    {0xd5, 0xe1, NONE, true},
    {0xe2, 0xe2, NONE, false},
    {0xe3, 0xed, NONE, true},
    {0xee, 0xee, NONE, false},
    {0xef, 0xff, NONE, true},
    {0x100, 0x113, NONE, false}, /* relaxed */
    {0x114, 0x1ff, NONE, false},
};

/* Nothing behind these is known, whatever follows. */
static const struct row nothing[] = {{0x00, 0x1ff, IMM("\x00\x00\x00"), false}};

static size_t put_u32(uint8_t *to, uint32_t v)
{
    size_t n = 0;

    for (; v >= 0x80; v >>= 7)
        to[n++] = (uint8_t)(v | 0x80);
    to[n++] = (uint8_t)v;
    return n;
}

/* prefix 0: none. */
static void check_rows(uint8_t prefix, const struct row *rows, size_t count, uint32_t last)
{
    uint32_t next = 0;

    for (size_t i = 0; i < count; i++) {
        const struct row *row = &rows[i];

        if (i == 0 || row->first != rows[i - 1].first) {
            if (row->first != next)
                fail_msg("prefix %02x: no row for opcode %02x", prefix, next);
            next = row->last + 1;
        }
        for (uint32_t code = row->first; code <= row->last; code++) {
            uint8_t bytes[64];
            size_t n = 0, size;

            if (prefix) {
                bytes[n++] = prefix;
                n += put_u32(bytes + n, code);
            } else {
                bytes[n++] = (uint8_t)code;
            }
            memcpy(bytes + n, row->imm, row->imm_bytes);
            n += row->imm_bytes;
            /* Whatever follows, it is this long. */
            for (unsigned behind = 0; behind < 256; behind++) {
                memset(bytes + n, (int)behind, 16);
                size = cairn_wasm_instruction_bytes(cairn_bytes(bytes, n + 16), TYPES);
                if (size != (row->known ? n : 0))
                    fail_msg("prefix %02x, opcode %02x, row %zu: %zu bytes, not %zu", prefix, code, i, size,
                             row->known ? n : 0);
            }
            /* Cut off anywhere it is none. */
            for (size_t k = 0; row->known && k < n; k++)
                assert_int_equal(cairn_wasm_instruction_bytes(cairn_bytes(bytes, k), TYPES), 0);
        }
    }
    assert_int_equal(next, last + 1);
}

#define CHECK_ROWS(prefix, rows, last) check_rows(prefix, rows, sizeof(rows) / sizeof *(rows), last)

static void every_opcode(void **state)
{
    (void)state;
    CHECK_ROWS(0, one_byte, 0xff);
    CHECK_ROWS(0xfc, numeric, 0x1ff);
    CHECK_ROWS(0xfd, simd, 0x1ff);
    CHECK_ROWS(0xfb, nothing, 0x1ff);
    CHECK_ROWS(0xfe, nothing, 0x1ff);
}

static void bodies(void **state)
{
#define BODY(text) (const uint8_t *)(text), sizeof(text) - 1
    static const struct {
        const char *label;
        const uint8_t *body;
        size_t bytes;
        bool want;
    } rows[] = {
        {"the least", BODY("\0\x0b"), true},
        {"locals of every plain type", BODY("\x05\x01\x7f\x01\x7e\x01\x7d\x01\x7c\x01\x7b\x0b"), true},
        {"a local that is a reference", BODY("\x01\x01\x70\x0b"), false},
        {"one that is a typed reference", BODY("\x01\x01\x63\0\x0b"), false},
        {"nothing at all", BODY(""), false},
        {"no end", BODY("\0\x01"), false},
        {"blocks", BODY("\0\x02\x40\x03\x40\x0b\x0b\x0b"), true},
        {"a block that is not closed", BODY("\0\x02\x40\x0b"), false},
        {"bytes behind the end", BODY("\0\x0b\x01"), false},
        {"instructions behind the end", BODY("\0\x0b\x01\x0b"), false},
        {"one that is not known in a block", BODY("\0\x02\x40\x41\0\xd0\x70\x26\0\x0b\x0b"), false},
        /* A typed reference's number 14 is br_table to a reader that takes the type for one byte. */
        {"table.set behind a block of a typed reference", BODY("\0\x02\x63\x0e\x01\x00\x00\x26\0\x0b\x1a\x0b"), false},
        {"more locals than there are bytes", BODY("\xff\xff\xff\xff\x0f\x0b"), false},
        {"br_table longer than the body", BODY("\0\x0e\xff\xff\xff\xff\x0f\0\x0b"), false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (cairn_wasm_body_known(cairn_bytes(rows[i].body, rows[i].bytes), TYPES) != rows[i].want)
            fail_msg("%s: known is %d", rows[i].label, !rows[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_opcode),
        cmocka_unit_test(bodies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
