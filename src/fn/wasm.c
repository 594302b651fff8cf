/* The binary format: WebAssembly Core Specification 2.0, chapter 5.  A length or an index that does not fit, or bytes
 * left over in a section whose contents matter, are "malformed".  Whatever else is not known makes the module one whose
 * instances are not used again, if Wasmtime takes it at all. */
#include "fn/wasm.h"

#include <stdio.h>
#include <stdlib.h>

#include "fn/wasm_code.h"

enum section {
    SECTION_CUSTOM = 0,
    SECTION_TYPE = 1,
    SECTION_IMPORT = 2,
    SECTION_FUNCTION = 3,
    SECTION_TABLE = 4,
    SECTION_MEMORY = 5,
    SECTION_GLOBAL = 6,
    SECTION_EXPORT = 7,
    SECTION_START = 8,
    SECTION_ELEMENT = 9,
    SECTION_CODE = 10,
    SECTION_DATA = 11,
    SECTION_DATA_COUNT = 12,
};

enum { KIND_FUNCTION = 0, KIND_TABLE = 1, KIND_MEMORY = 2, KIND_GLOBAL = 3 };

/* Of a table or a memory: bits. */
enum { LIMITS_MAX = 1, LIMITS_SHARED = 2, LIMITS_64 = 4, LIMITS_PAGE_SIZE = 8 };

enum { TYPE_FUNCREF = 0x70, TYPE_EXTERNREF = 0x6f };

/* Of a segment: for table or memory 0, for the one whose number follows. */
enum { SEGMENT_ACTIVE = 0, SEGMENT_ACTIVE_IN = 2 };

struct scan {
    struct cairn_wasm *wasm;
    struct cairn_err *err;
    bool (*known_import)(struct cairn_bytes name);
    bool *type_is_void; /* by type: () -> () */
    uint32_t type_count;
    uint32_t *functions; /* type of each function, imported ones first */
    uint32_t imported_count, function_count;
    uint8_t *globals; /* 1: mutable, 2: mutable and a number */
    uint32_t defined_globals, memories;
    bool exports_memory, bad_global;
};

/* Instances of the module are not used again.  The first reason is told. */
static enum cairn_code not_reusable(struct scan *s, const char *why)
{
    if (!s->wasm->why_not)
        s->wasm->why_not = why;
    return CAIRN_OK;
}

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
    return cairn_wasm_read_u32(r);
}

/* All of it was read, and nothing went wrong. */
static bool whole(const struct cairn_reader *r)
{
    return !r->bad && cairn_reader_left(r) == 0;
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

static bool is_number(uint8_t type)
{
    return type >= 0x7c && type <= 0x7f; /* f64, f32, i64, i32 */
}

/* A type that is one byte; typed function references and those of garbage collection are more. */
static bool is_value_type(uint8_t type)
{
    return cairn_wasm_plain_type(type) || type == TYPE_FUNCREF || type == TYPE_EXTERNREF;
}

/* Reads a vector of value types; false for one that is none. */
static bool read_value_types(struct cairn_reader *r, uint32_t *ret_count)
{
    uint32_t count = read_count(r);

    *ret_count = count;
    for (uint32_t i = 0; i < count && !r->bad; i++)
        if (!is_value_type(cairn_read_u8(r)))
            return false;
    return true;
}

static enum cairn_code scan_types(struct scan *s, struct cairn_reader *r)
{
    s->type_count = read_count(r);
    s->type_is_void = cairn_alloc_zeroed((size_t)s->type_count + 1, sizeof *s->type_is_void);
    for (uint32_t i = 0; i < s->type_count && !r->bad; i++) {
        uint32_t params, results;

        if (cairn_read_u8(r) != 0x60 || !read_value_types(r, &params) || !read_value_types(r, &results))
            return r->bad ? malformed(s, "type")
                          : refuse(s, "the module declares types of the proposals for garbage collection or typed "
                                      "function references, which are not supported");
        s->type_is_void[i] = params == 0 && results == 0;
    }
    return whole(r) ? CAIRN_OK : malformed(s, "type");
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
    return whole(r) ? CAIRN_OK : malformed(s, "import");
}

static enum cairn_code scan_functions(struct scan *s, struct cairn_reader *r)
{
    uint32_t count = read_count(r);

    s->functions = cairn_realloc(s->functions, ((size_t)s->imported_count + count + 1) * sizeof *s->functions);
    for (uint32_t i = 0; i < count && !r->bad; i++)
        s->functions[s->imported_count + i] = read_u32(r);
    s->function_count = s->imported_count + count;
    return whole(r) ? CAIRN_OK : malformed(s, "function");
}

static enum cairn_code scan_memories(struct scan *s, struct cairn_reader *r)
{
    uint8_t flags;

    s->memories = read_count(r);
    if (s->memories != 1)
        return r->bad ? malformed(s, "memory") : CAIRN_OK; /* refused later, with another reason */
    flags = cairn_read_u8(r);
    if (flags & LIMITS_64)
        return refuse(s, "the module has a 64-bit memory (wasm64), which is not supported; build it for wasm32");
    if (flags & LIMITS_SHARED)
        return refuse(s, "the module has a shared memory (threads), which is not supported");
    if (flags & LIMITS_PAGE_SIZE)
        return refuse(s, "the module's memory has pages of a size of its own, which is not supported");
    s->wasm->memory_pages_min = read_u32(r);
    if (flags & LIMITS_MAX)
        read_u32(r);
    return whole(r) && flags <= LIMITS_MAX ? CAIRN_OK : malformed(s, "memory");
}

/* Skips a constant expression: one number.  False for another (references, vectors, calculations). */
static bool skip_constant(struct cairn_reader *r)
{
    struct cairn_bytes rest = cairn_bytes(r->at, cairn_reader_left(r));
    uint8_t code = rest.size ? rest.data[0] : 0;

    if (code < 0x41 || code > 0x44) /* i32.const, i64.const, f32.const, f64.const */
        return false;
    cairn_read_bytes(r, cairn_wasm_instruction_bytes(rest, 0));
    return cairn_read_u8(r) == 0x0b; /* end; 0 bytes, an instruction that is cut off, are not one either */
}

/* No known instruction changes a table of functions. */
static bool tables_known(struct cairn_reader *r)
{
    uint32_t count = read_count(r);

    for (uint32_t i = 0; i < count && !r->bad; i++) {
        uint8_t type = cairn_read_u8(r), flags = cairn_read_u8(r);

        if (type != TYPE_FUNCREF || flags > LIMITS_MAX)
            return false;
        read_u32(r);
        if (flags & LIMITS_MAX)
            read_u32(r);
    }
    return whole(r);
}

/* Segments that instantiation copies and drops.  Others stay in the instance and can be dropped later. */
static bool segments_known(struct cairn_reader *r, bool of_functions)
{
    uint32_t count = read_count(r);

    for (uint32_t i = 0; i < count && !r->bad; i++) {
        uint32_t flags = read_u32(r), length;

        if (flags != SEGMENT_ACTIVE && flags != SEGMENT_ACTIVE_IN)
            return false;
        if (flags == SEGMENT_ACTIVE_IN)
            read_u32(r);
        if (!skip_constant(r))
            return false;
        if (of_functions && flags == SEGMENT_ACTIVE_IN && cairn_read_u8(r) != 0) /* the only kind of element there is */
            return false;
        length = read_count(r);
        if (!of_functions)
            cairn_read_bytes(r, length);
        for (uint32_t k = 0; of_functions && k < length && !r->bad; k++)
            read_u32(r);
    }
    return whole(r);
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
        if (!is_value_type(type) || is_mutable > 1 || !skip_constant(r)) {
            if (r->bad)
                break;
            s->bad_global = true; /* what follows is not known: not reusable, but no reason to refuse */
            return CAIRN_OK;
        }
    }
    return whole(r) ? CAIRN_OK : malformed(s, "global");
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
    return whole(r) ? CAIRN_OK : malformed(s, "export");
}

/* Bodies of known instructions change memory and globals at most. */
static bool code_known(const struct scan *s, struct cairn_reader *r)
{
    uint32_t count = read_count(r);

    for (uint32_t i = 0; i < count && !r->bad; i++)
        if (!cairn_wasm_body_known(read_name(r), s->type_count))
            return false;
    return whole(r);
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
        return code_known(s, &r)
                   ? CAIRN_OK
                   : not_reusable(s, "it uses instructions beyond WebAssembly 1.0 (bulk memory, reference types)");
    case SECTION_TABLE:
        return tables_known(&r) ? CAIRN_OK : not_reusable(s, "it has a table of other references than to functions");
    case SECTION_ELEMENT:
    case SECTION_DATA:
        return segments_known(&r, id == SECTION_ELEMENT) ? CAIRN_OK
                                                         : not_reusable(s, "it has segments that are not active");
    case SECTION_DATA_COUNT:
        return CAIRN_OK; /* says again what stands in the data section, whatever it is */
    default:
        return cairn_fail(s->err, CAIRN_EMODULE,
                          "the module has a section of kind %d, which WebAssembly 2.0 does not have", id);
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
        not_reusable(&s, "a mutable global is not exported");
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
