/* WebAssembly Core Specification 2.0, 5.4: what follows each opcode. */
#include "fn/wasm_code.h"

enum {
    BLOCK_TYPE_EMPTY = 0x40,
    OP_IF = 0x04,
    OP_BLOCK = 0x02,
    OP_END = 0x0b,
    PREFIX_NUMERIC = 0xfc,
    PREFIX_SIMD = 0xfd,
};

/* What follows an opcode.  UNKNOWN is 0: an opcode that no table names is not known. */
enum shape {
    UNKNOWN,
    PLAIN,    /* nothing */
    BLOCK,    /* a block type */
    INDEX,    /* a u32 */
    INDEX_2,  /* two of them */
    BR_TABLE, /* a vector of u32 and one more */
    MEMARG,   /* two u32: alignment, offset */
    ZERO,     /* a byte 0: the number of the only memory */
    S32,      /* a signed number of 32 bits */
    S64,
    BYTES_4,
    BYTES_8,
    BYTES_16,
    LANE,        /* a byte */
    MEMARG_LANE, /* both */
    NUMERIC,     /* a u32, which numeric_shape() knows */
    SIMD,        /* a u32, which simd_shape() knows */
};

static const uint8_t shapes[256] = {
    [0x00 ... 0x01] = PLAIN, /* unreachable, nop */
    [OP_BLOCK] = BLOCK,
    [0x03] = BLOCK, /* loop */
    [OP_IF] = BLOCK,
    [0x05] = PLAIN, /* else */
    [OP_END] = PLAIN,
    [0x0c ... 0x0d] = INDEX, /* br, br_if */
    [0x0e] = BR_TABLE,
    [0x0f] = PLAIN,          /* return */
    [0x10] = INDEX,          /* call */
    [0x11] = INDEX_2,        /* call_indirect */
    [0x1a ... 0x1b] = PLAIN, /* drop, select */
    [0x20 ... 0x24] = INDEX, /* local.get, .set, .tee, global.get, .set */
    [0x28 ... 0x3e] = MEMARG,
    [0x3f ... 0x40] = ZERO, /* memory.size, .grow */
    [0x41] = S32,
    [0x42] = S64,
    [0x43] = BYTES_4,
    [0x44] = BYTES_8,
    [0x45 ... 0xc4] = PLAIN, /* comparisons, arithmetic, conversions, sign extension */
    [PREFIX_NUMERIC] = NUMERIC,
    [PREFIX_SIMD] = SIMD,
};

/* Saturating conversions; the others of this prefix work on segments, tables, and memory in bulk. */
static enum shape numeric_shape(uint32_t code)
{
    return code <= 7 ? PLAIN : UNKNOWN;
}

static enum shape simd_shape(uint32_t code)
{
    if (code <= 0x0b || code == 0x5c || code == 0x5d)
        return MEMARG;
    if (code == 0x0c || code == 0x0d) /* v128.const, i8x16.shuffle */
        return BYTES_16;
    if (code >= 0x15 && code <= 0x22)
        return LANE;
    if (code >= 0x54 && code <= 0x5b)
        return MEMARG_LANE;
    switch (code) { /* nothing has these numbers */
    case 0x9a:
    case 0xa2:
    case 0xa5:
    case 0xa6:
    case 0xaf:
    case 0xb0:
    case 0xb2:
    case 0xb3:
    case 0xb4:
    case 0xbb:
    case 0xc2:
    case 0xc5:
    case 0xc6:
    case 0xcf:
    case 0xd0:
    case 0xd2:
    case 0xd3:
    case 0xd4:
    case 0xe2:
    case 0xee:
        return UNKNOWN;
    default:
        return code <= 0xff ? PLAIN : UNKNOWN;
    }
}

/* A LEB128 number of `bits` bits, a signed one in two's complement: at most as many bytes as those take,
 * and in the last byte no bits beyond them. */
static uint64_t read_leb(struct cairn_reader *r, unsigned bits, bool is_signed)
{
    uint64_t v = 0;
    uint8_t byte;

    for (unsigned shift = 0; shift < bits; shift += 7) {
        unsigned used = bits - shift;

        byte = cairn_read_u8(r);
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (used < 7) {
            uint8_t beyond = (uint8_t)(0x7f & ~((1u << used) - 1));
            bool negative = is_signed && byte >> (used - 1) & 1;

            if ((byte & 0x80) || (byte & beyond) != (negative ? beyond : 0))
                break;
        }
        if (!(byte & 0x80))
            return is_signed && byte & 0x40 && shift + 7 < 64 ? v | ~(uint64_t)0 << (shift + 7) : v;
    }
    r->bad = true;
    return 0;
}

uint32_t cairn_wasm_read_u32(struct cairn_reader *r)
{
    return (uint32_t)read_leb(r, 32, false);
}

bool cairn_wasm_plain_type(uint8_t type)
{
    return type >= 0x7b && type <= 0x7f; /* v128, f64, f32, i64, i32 */
}

/* One byte for no result or a plain one; else a number that is not negative and names a type.  References (0x6f, 0x70,
 * and what typed ones begin with: more bytes follow those) are not known. */
static void read_block_type(struct cairn_reader *r, uint32_t type_count)
{
    uint8_t first = cairn_reader_left(r) ? *r->at : 0xff;

    if (first == BLOCK_TYPE_EMPTY || cairn_wasm_plain_type(first))
        cairn_read_u8(r);
    else if (read_leb(r, 33, true) >= type_count)
        r->bad = true; /* a negative number is not below it either */
}

static void read_memarg(struct cairn_reader *r)
{
    if (cairn_wasm_read_u32(r) > 4) /* 2 to that; with bit 6 a memory's number would follow */
        r->bad = true;
    cairn_wasm_read_u32(r);
}

/* Reads what follows an opcode; r->bad: it is not known. */
static void read_shape(struct cairn_reader *r, enum shape shape, uint32_t type_count)
{
    switch (shape) {
    case PLAIN:
        return;
    case BLOCK:
        read_block_type(r, type_count);
        return;
    case INDEX_2:
        cairn_wasm_read_u32(r);
        __attribute__((fallthrough));
    case INDEX:
        cairn_wasm_read_u32(r);
        return;
    case BR_TABLE: {
        uint32_t count = cairn_wasm_read_u32(r);

        for (uint64_t i = 0; i <= count && !r->bad; i++)
            cairn_wasm_read_u32(r);
        return;
    }
    case MEMARG_LANE:
        read_memarg(r);
        cairn_read_u8(r);
        return;
    case MEMARG:
        read_memarg(r);
        return;
    case ZERO:
        r->bad |= cairn_read_u8(r) != 0;
        return;
    case S32:
        read_leb(r, 32, true);
        return;
    case S64:
        read_leb(r, 64, true);
        return;
    case BYTES_4:
        cairn_read_bytes(r, 4);
        return;
    case BYTES_8:
        cairn_read_bytes(r, 8);
        return;
    case BYTES_16:
        cairn_read_bytes(r, 16);
        return;
    case LANE:
        cairn_read_u8(r);
        return;
    case NUMERIC:
        read_shape(r, numeric_shape(cairn_wasm_read_u32(r)), type_count);
        return;
    case SIMD:
        read_shape(r, simd_shape(cairn_wasm_read_u32(r)), type_count);
        return;
    case UNKNOWN:
        break;
    }
    r->bad = true;
}

/* Reads over one instruction and returns its first byte. */
static uint8_t read_instruction(struct cairn_reader *r, uint32_t type_count)
{
    uint8_t code = cairn_read_u8(r);

    if (!r->bad)
        read_shape(r, (enum shape)shapes[code], type_count);
    return code;
}

size_t cairn_wasm_instruction_bytes(struct cairn_bytes code, uint32_t type_count)
{
    struct cairn_reader r = cairn_reader(code);

    read_instruction(&r, type_count);
    return r.bad ? 0 : code.size - cairn_reader_left(&r);
}

bool cairn_wasm_body_known(struct cairn_bytes body, uint32_t type_count)
{
    struct cairn_reader r = cairn_reader(body);
    uint32_t groups = cairn_wasm_read_u32(&r);
    uint64_t depth = 1; /* the function itself */

    for (uint32_t i = 0; i < groups && !r.bad; i++) {
        cairn_wasm_read_u32(&r);
        r.bad |= !cairn_wasm_plain_type(cairn_read_u8(&r));
    }
    while (depth > 0 && !r.bad) {
        uint8_t code = read_instruction(&r, type_count);

        if (code >= OP_BLOCK && code <= OP_IF)
            depth++;
        else if (code == OP_END)
            depth--;
    }
    return !r.bad && cairn_reader_left(&r) == 0;
}
