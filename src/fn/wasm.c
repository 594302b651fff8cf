/* The binary format: WebAssembly Core Specification 2.0, chapter 5.  Only as much of it is read as
 * is needed; a length or an index that does not fit is "malformed". */
#include "fn/wasm.h"

#include <stdio.h>
#include <stdlib.h>

enum section {
    SECTION_CUSTOM = 0,
    SECTION_TYPE = 1,
    SECTION_IMPORT = 2,
    SECTION_FUNCTION = 3,
    SECTION_MEMORY = 5,
    SECTION_GLOBAL = 6,
    SECTION_EXPORT = 7,
    SECTION_START = 8,
    SECTION_CODE = 10,
};

enum { KIND_FUNCTION = 0, KIND_TABLE = 1, KIND_MEMORY = 2, KIND_GLOBAL = 3 };

struct scan {
    struct cairn_wasm *wasm;
    struct cairn_err *err;
    bool (*known_import)(struct cairn_bytes name);
    bool *type_is_void; /* by type: () -> () */
    uint32_t type_count;
    uint32_t *functions; /* type of each function, imported ones first */
    uint32_t imported_count, function_count, code_count;
    uint8_t *globals; /* 1: mutable, 2: mutable and a number */
    uint32_t defined_globals, memories;
    bool exports_memory, bad_global;
};

static enum cairn_code refuse(struct scan *s, const char *why)
{
    return cairn_fail(s->err, CAIRN_EMODULE, "%s", why);
}

static enum cairn_code malformed(struct scan *s, const char *section)
{
    return cairn_fail(s->err, CAIRN_EMODULE, "malformed WebAssembly: its %s section cannot be read", section);
}

static uint32_t read_u32(struct cairn_reader *r)
{
    uint64_t v = cairn_read_varint(r);

    if (v > UINT32_MAX)
        r->bad = true;
    return r->bad ? 0 : (uint32_t)v;
}

static struct cairn_bytes read_name(struct cairn_reader *r)
{
    uint32_t size = read_u32(r);

    return cairn_read_bytes(r, size);
}

/* A count of things that take a byte each at least. */
static uint32_t read_count(struct cairn_reader *r)
{
    uint32_t count = read_u32(r);

    if (count > cairn_reader_left(r))
        r->bad = true;
    return r->bad ? 0 : count;
}

static void read_limits(struct cairn_reader *r, uint64_t *ret_min)
{
    uint8_t flags = cairn_read_u8(r);

    *ret_min = cairn_read_varint(r);
    if (flags & 1)
        cairn_read_varint(r);
}

/* Signed numbers, and unsigned ones whose value does not matter. */
static void skip_leb(struct cairn_reader *r)
{
    for (int i = 0; i < 10; i++)
        if (!(cairn_read_u8(r) & 0x80))
            return;
    r->bad = true;
}

static bool is_number(uint8_t type)
{
    return type >= 0x7c && type <= 0x7f; /* f64, f32, i64, i32 */
}

static enum cairn_code scan_types(struct scan *s, struct cairn_reader *r)
{
    s->type_count = read_count(r);
    s->type_is_void = cairn_alloc_zeroed((size_t)s->type_count + 1, sizeof *s->type_is_void);
    for (uint32_t i = 0; i < s->type_count && !r->bad; i++) {
        uint32_t params, results;

        if (cairn_read_u8(r) != 0x60)
            return refuse(s, "the module declares types of the garbage collection proposal, which is not supported");
        params = read_count(r);
        cairn_read_bytes(r, params);
        results = read_count(r);
        cairn_read_bytes(r, results);
        s->type_is_void[i] = params == 0 && results == 0;
    }
    return r->bad ? malformed(s, "type") : CAIRN_OK;
}

static enum cairn_code scan_imports(struct scan *s, struct cairn_reader *r)
{
    uint32_t count = read_count(r);

    s->functions = cairn_alloc_zeroed((size_t)count + 1, sizeof *s->functions);
    for (uint32_t i = 0; i < count && !r->bad; i++) {
        struct cairn_bytes module = read_name(r), name = read_name(r);
        uint8_t kind = cairn_read_u8(r);

        if (r->bad)
            break;
        if (kind != KIND_FUNCTION || !cairn_bytes_equal(module, cairn_str("cairn")) || !s->known_import(name))
            return cairn_fail(s->err, CAIRN_EMODULE,
                              "unknown import '%.*s.%.*s'%s: a function may import the "
                              "functions of the guest ABI and nothing else",
                              (int)(module.size < 64 ? module.size : 64), (const char *)module.data,
                              (int)(name.size < 64 ? name.size : 64), (const char *)name.data,
                              kind == KIND_FUNCTION ? "" : " (not a function)");
        s->functions[s->imported_count++] = read_u32(r);
    }
    s->function_count = s->imported_count;
    return r->bad ? malformed(s, "import") : CAIRN_OK;
}

static enum cairn_code scan_functions(struct scan *s, struct cairn_reader *r)
{
    uint32_t count = read_count(r);

    s->functions = cairn_realloc(s->functions, ((size_t)s->imported_count + count + 1) * sizeof *s->functions);
    for (uint32_t i = 0; i < count && !r->bad; i++)
        s->functions[s->imported_count + i] = read_u32(r);
    s->function_count = s->imported_count + count;
    return r->bad ? malformed(s, "function") : CAIRN_OK;
}

static enum cairn_code scan_memories(struct scan *s, struct cairn_reader *r)
{
    s->memories = read_count(r);
    if (s->memories == 1)
        read_limits(r, &s->wasm->memory_pages_min);
    return r->bad ? malformed(s, "memory") : CAIRN_OK;
}

/* Skips a constant expression.  False for one that this cannot read (reference types, SIMD). */
static bool skip_constant(struct cairn_reader *r)
{
    for (;;)
        switch (cairn_read_u8(r)) {
        case 0x0b: /* end; also what a reader past its end yields is not this */
            return !r->bad;
        case 0x41: /* i32.const */
        case 0x42: /* i64.const */
        case 0x23: /* global.get */
            skip_leb(r);
            break;
        case 0x43: /* f32.const */
            cairn_read_bytes(r, 4);
            break;
        case 0x44: /* f64.const */
            cairn_read_bytes(r, 8);
            break;
        case 0x6a: /* i32.add, sub, mul and i64.add, sub, mul: extended constants */
        case 0x6b:
        case 0x6c:
        case 0x7c:
        case 0x7d:
        case 0x7e:
            break;
        default:
            return false;
        }
}

static enum cairn_code scan_globals(struct scan *s, struct cairn_reader *r)
{
    uint32_t count = read_count(r);

    s->globals = cairn_alloc_zeroed((size_t)count + 1, 1);
    for (uint32_t i = 0; i < count && !r->bad; i++) {
        uint8_t type = cairn_read_u8(r);
        uint8_t is_mutable = cairn_read_u8(r);

        if (is_mutable) {
            s->globals[i] = is_number(type) ? 2 : 1;
            s->wasm->mutable_globals++;
        }
        s->defined_globals = i + 1;
        if (!skip_constant(r)) {
            if (r->bad)
                break;
            s->bad_global = true; /* what follows is not known: not reusable, but no reason to refuse */
            return CAIRN_OK;
        }
    }
    return r->bad ? malformed(s, "global") : CAIRN_OK;
}

static enum cairn_code scan_exports(struct scan *s, struct cairn_reader *r)
{
    struct cairn_wasm *wasm = s->wasm;
    uint32_t count = read_count(r);

    wasm->exports = cairn_alloc_zeroed((size_t)count + 1, sizeof *wasm->exports);
    for (uint32_t i = 0; i < count && !r->bad; i++) {
        struct cairn_wasm_export e = {.name = read_name(r)};
        uint32_t index;

        e.kind = cairn_read_u8(r);
        index = read_u32(r);
        if (r->bad)
            break;
        if (e.kind == KIND_FUNCTION && index < s->function_count && s->functions[index] < s->type_count)
            e.is_method = s->type_is_void[s->functions[index]];
        if (e.kind == KIND_MEMORY && cairn_bytes_equal(e.name, cairn_str("memory")))
            s->exports_memory = true;
        if (e.kind == KIND_GLOBAL && index < s->defined_globals && s->globals[index] == 2 &&
            wasm->global_count < CAIRN_WASM_GLOBALS_MAX) {
            wasm->globals[wasm->global_count++] = e.name;
            s->globals[index] = 3; /* the same global under a second name needs no second reset */
        }
        wasm->exports[wasm->export_count++] = e;
    }
    return r->bad ? malformed(s, "export") : CAIRN_OK;
}

static void skip_memarg(struct cairn_reader *r)
{
    uint32_t align = read_u32(r);

    if (align & 0x40) /* a memory index follows: several memories */
        r->bad = true;
    skip_leb(r);
}

static bool skip_simd(struct cairn_reader *r)
{
    uint32_t code = read_u32(r);

    if (code <= 0x0b || code == 0x5c || code == 0x5d) { /* load, store */
        skip_memarg(r);
    } else if (code == 0x0c || code == 0x0d) { /* v128.const, i8x16.shuffle */
        cairn_read_bytes(r, 16);
    } else if (code >= 0x15 && code <= 0x22) { /* lanes */
        cairn_read_u8(r);
    } else if (code >= 0x54 && code <= 0x5b) { /* load and store of a lane */
        skip_memarg(r);
        cairn_read_u8(r);
    }
    return code <= 0xff;
}

/* Reads over one instruction; false if it is none of those listed for `reusable`. */
static bool skip_instruction(struct cairn_reader *r)
{
    uint8_t code = cairn_read_u8(r);

    if ((code >= 0x45 && code <= 0xc4) || code == 0x00 || code == 0x01 || code == 0x05 || code == 0x0b ||
        code == 0x0f || code == 0x1a || code == 0x1b)
        return true;                    /* arithmetic; unreachable, nop, else, end, return, drop, select */
    if (code >= 0x28 && code <= 0x3e) { /* loads and stores */
        skip_memarg(r);
        return true;
    }
    switch (code) {
    case 0x02: /* block, loop, if: a block type */
    case 0x03:
    case 0x04:
    case 0x0c: /* br, br_if, call: an index */
    case 0x0d:
    case 0x10:
    case 0x20: /* local.get, set, tee, global.get, set */
    case 0x21:
    case 0x22:
    case 0x23:
    case 0x24:
    case 0x41: /* i32.const, i64.const */
    case 0x42:
        skip_leb(r);
        return true;
    case 0x0e: { /* br_table */
        uint32_t count = read_count(r);

        for (uint32_t i = 0; i <= count && !r->bad; i++)
            skip_leb(r);
        return true;
    }
    case 0x11: /* call_indirect */
        skip_leb(r);
        skip_leb(r);
        return true;
    case 0x3f: /* memory.size, memory.grow */
    case 0x40:
        cairn_read_u8(r);
        return true;
    case 0x43:
        cairn_read_bytes(r, 4);
        return true;
    case 0x44:
        cairn_read_bytes(r, 8);
        return true;
    case 0xfc:
        return read_u32(r) <= 7; /* saturating conversions; the rest is bulk memory and tables */
    case 0xfd:
        return skip_simd(r);
    default:
        return false;
    }
}

/* True if every body consists of listed instructions only. */
static bool scan_code(struct cairn_reader *r)
{
    uint32_t count = read_count(r);

    for (uint32_t i = 0; i < count && !r->bad; i++) {
        uint32_t size = read_u32(r), groups;
        struct cairn_reader body = cairn_reader(cairn_read_bytes(r, size));

        if (r->bad)
            return false;
        groups = read_u32(&body);
        for (uint32_t k = 0; k < groups && !body.bad; k++) {
            read_u32(&body);
            cairn_read_u8(&body);
        }
        while (cairn_reader_left(&body) > 0 && !body.bad)
            if (!skip_instruction(&body))
                return false;
        if (body.bad)
            return false;
    }
    return !r->bad;
}

static enum cairn_code scan_section(struct scan *s, uint8_t id, struct cairn_bytes contents)
{
    struct cairn_reader r = cairn_reader(contents);

    switch (id) {
    case SECTION_CUSTOM: {
        struct cairn_bytes name = read_name(&r);

        if (r.bad)
            return malformed(s, "custom");
        if (!cairn_bytes_equal(name, cairn_str("cairn.types")))
            return CAIRN_OK;
        if (s->wasm->types.data)
            return refuse(s, "the module has two sections cairn.types");
        s->wasm->types = cairn_bytes(r.at, cairn_reader_left(&r));
        return CAIRN_OK;
    }
    case SECTION_TYPE:
        return s->type_is_void ? malformed(s, "type") : scan_types(s, &r);
    case SECTION_IMPORT:
        return s->functions ? malformed(s, "import") : scan_imports(s, &r);
    case SECTION_FUNCTION:
        return s->function_count > s->imported_count ? malformed(s, "function") : scan_functions(s, &r);
    case SECTION_MEMORY:
        return s->memories ? malformed(s, "memory") : scan_memories(s, &r);
    case SECTION_GLOBAL:
        return s->globals ? malformed(s, "global") : scan_globals(s, &r);
    case SECTION_EXPORT:
        return s->wasm->exports ? malformed(s, "export") : scan_exports(s, &r);
    case SECTION_START:
        return refuse(s, "the module has a start function; a method is the only way in");
    case SECTION_CODE:
        if (!scan_code(&r))
            s->wasm->why_not = "it uses instructions beyond WebAssembly 1.0 (bulk memory, reference types)";
        return CAIRN_OK;
    default:
        return CAIRN_OK;
    }
}

static enum cairn_code scan_sections(struct scan *s, struct cairn_bytes binary)
{
    static const uint8_t magic[8] = {0, 'a', 's', 'm', 1, 0, 0, 0};
    struct cairn_reader r = cairn_reader(binary);
    struct cairn_bytes head = cairn_read_bytes(&r, sizeof magic);

    if (r.bad || memcmp(head.data, magic, 4) != 0)
        return refuse(s, "not a WebAssembly module in binary form");
    if (memcmp(head.data, magic, sizeof magic) != 0)
        return refuse(s, "not a core WebAssembly module (a component, or a later version)");
    while (cairn_reader_left(&r) > 0) {
        uint8_t id = cairn_read_u8(&r);
        struct cairn_bytes contents = read_name(&r);
        enum cairn_code code;

        if (r.bad)
            return refuse(s, "malformed WebAssembly: a section goes beyond the end");
        code = scan_section(s, id, contents);
        if (code != CAIRN_OK)
            return code;
    }
    return CAIRN_OK;
}

enum cairn_code cairn_wasm_scan(struct cairn_bytes binary, bool (*known_import)(struct cairn_bytes name),
                                struct cairn_wasm *ret_wasm, struct cairn_err *err)
{
    struct cairn_wasm wasm = {0};
    struct scan s = {.wasm = &wasm, .err = err, .known_import = known_import};
    enum cairn_code code = scan_sections(&s, binary);

    if (code == CAIRN_OK && !wasm.types.data)
        code = refuse(&s, "the module has no section cairn.types (built without include/cairn/guest.h?)");
    if (code == CAIRN_OK && (s.memories != 1 || !s.exports_memory))
        code = refuse(&s, "the module must define one memory and export it as 'memory'");
    if (s.bad_global || wasm.global_count < wasm.mutable_globals)
        wasm.why_not = "a mutable global is not exported";
    wasm.reusable = !wasm.why_not;

    free(s.type_is_void);
    free(s.functions);
    free(s.globals);
    if (code != CAIRN_OK) {
        cairn_wasm_done(&wasm);
        return code;
    }
    *ret_wasm = wasm;
    return CAIRN_OK;
}

void cairn_wasm_done(struct cairn_wasm *wasm)
{
    free(wasm->exports);
    *wasm = (struct cairn_wasm){0};
}

bool cairn_wasm_exports(const struct cairn_wasm *wasm, struct cairn_bytes name, bool *ret_is_function)
{
    *ret_is_function = false;
    for (size_t i = 0; i < wasm->export_count; i++)
        if (cairn_bytes_equal(wasm->exports[i].name, name)) {
            *ret_is_function = wasm->exports[i].kind == KIND_FUNCTION;
            return wasm->exports[i].is_method;
        }
    return false;
}
