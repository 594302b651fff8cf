/* Two passes, so that the order of lines does not matter: the first takes `abi`, `module` and
 * `type`, the second `field` and `method`. */
#include "fn/types.h"

#include <stdio.h>
#include <stdlib.h>

/* "method T m internal", flags, retries, and limits */
enum { WORDS_MAX = 4 + 6 + CAIRN_METHOD_LIMITS };

struct line {
    unsigned number;
    struct cairn_bytes text;
    struct cairn_bytes words[WORDS_MAX];
    size_t count;
};

struct parser {
    struct cairn_types *types;
    struct cairn_err *err;
    uint32_t abi; /* 0: not said */
};

bool cairn_name_valid(struct cairn_bytes name)
{
    if (name.size == 0 || name.size > CAIRN_NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

        if (!letter && (i == 0 || (c != '_' && (c < '0' || c > '9'))))
            return false;
    }
    return true;
}

static bool is(struct cairn_bytes word, const char *text)
{
    return cairn_bytes_equal(word, cairn_str(text));
}

/* Quotes what a stranger wrote: printable ASCII only, and not much of it. */
static const char *shown(struct cairn_bytes bytes, char out[80])
{
    size_t n = bytes.size < 72 ? bytes.size : 72;

    for (size_t i = 0; i < n; i++)
        out[i] = bytes.data[i] >= 0x20 && bytes.data[i] < 0x7f ? (char)bytes.data[i] : '?';
    snprintf(out + n, 80 - n, "%s", n < bytes.size ? "..." : "");
    return out;
}

static enum cairn_code refuse(struct parser *p, const struct line *line, const char *why)
{
    char text[80];

    return cairn_fail(p->err, CAIRN_EMODULE, "cairn.types line %u: %s: '%s'", line->number, why,
                      shown(line->text, text));
}

/* Decimal without leading zeros, at most `max`. */
static bool read_number(struct cairn_bytes word, uint32_t max, uint32_t *ret_number)
{
    uint64_t number = 0;

    if (word.size == 0 || word.size > 9 || (word.size > 1 && word.data[0] == '0'))
        return false;
    for (size_t i = 0; i < word.size; i++) {
        if (word.data[i] < '0' || word.data[i] > '9')
            return false;
        number = number * 10 + (word.data[i] - '0');
    }
    *ret_number = (uint32_t)number;
    return number <= max;
}

struct cairn_type_decl *cairn_types_type(const struct cairn_types *types, struct cairn_bytes name)
{
    for (size_t i = 0; i < types->type_count; i++)
        if (is(name, types->types[i].name))
            return &types->types[i];
    return NULL;
}

struct cairn_method_decl *cairn_types_method(const struct cairn_type_decl *type, struct cairn_bytes name)
{
    for (size_t i = 0; i < type->method_count; i++)
        if (is(name, type->methods[i].name))
            return &type->methods[i];
    return NULL;
}

/* Arrays grow by doubling: count is a power of two when it is time. */
static void *grown(void *array, size_t count, size_t bytes)
{
    if (count & (count - 1))
        return array;
    return cairn_realloc(array, (count ? count * 2 : 1) * bytes);
}

static enum cairn_code take_abi(struct parser *p, const struct line *line)
{
    uint32_t number;

    if (line->count != 2 || !read_number(line->words[1], 999999999, &number))
        return refuse(p, line, "'abi NUMBER' expected");
    if (number < CAIRN_ABI_OLDEST || number > CAIRN_ABI)
        return cairn_fail(p->err, CAIRN_EVERSION,
                          "cairn.types line %u: the module is made for guest ABI %u, this node "
                          "has %d to %d",
                          line->number, number, CAIRN_ABI_OLDEST, CAIRN_ABI);
    if (p->abi && p->abi != number)
        return refuse(p, line, "the module has another ABI already");
    p->abi = number;
    return CAIRN_OK;
}

static enum cairn_code take_module(struct parser *p, const struct line *line)
{
    if (line->count != 2 || !cairn_name_valid(line->words[1]))
        return refuse(p, line, "'module NAME' expected");
    if (p->types->module && !is(line->words[1], p->types->module))
        return refuse(p, line, "the module has another name already");
    if (!p->types->module)
        p->types->module = cairn_bytes_dup(line->words[1]);
    return CAIRN_OK;
}

static enum cairn_code take_type(struct parser *p, const struct line *line)
{
    struct cairn_types *types = p->types;

    if (line->count != 2 || !cairn_name_valid(line->words[1]))
        return refuse(p, line, "'type NAME' expected");
    if (cairn_types_type(types, line->words[1]))
        return CAIRN_OK;
    if (types->type_count == CAIRN_MODULE_TYPES_MAX)
        return refuse(p, line, "too many types");
    types->types = grown(types->types, types->type_count, sizeof *types->types);
    types->types[types->type_count++] = (struct cairn_type_decl){.name = cairn_bytes_dup(line->words[1])};
    return CAIRN_OK;
}

const char *cairn_field_kind_name(enum cairn_field_kind kind)
{
    static const char *const names[CAIRN_FIELD_KINDS_END] = {[CAIRN_FIELD_VALUE] = "value",
                                                             [CAIRN_FIELD_LIST] = "list",
                                                             [CAIRN_FIELD_MAP] = "map",
                                                             [CAIRN_FIELD_ORDERED] = "ordered"};

    return (int)kind < CAIRN_FIELD_KINDS_END && names[kind] ? names[kind] : "unknown";
}

static bool read_kind(struct cairn_bytes word, enum cairn_field_kind *ret_kind)
{
    for (int kind = CAIRN_FIELD_VALUE; kind < CAIRN_FIELD_KINDS_END; kind++)
        if (is(word, cairn_field_kind_name((enum cairn_field_kind)kind))) {
            *ret_kind = (enum cairn_field_kind)kind;
            return true;
        }
    return false;
}

static enum cairn_code take_field(struct parser *p, const struct line *line)
{
    struct cairn_field_decl field = {0};
    struct cairn_type_decl *type;

    if (line->count != 5 || !cairn_name_valid(line->words[1]) || !cairn_name_valid(line->words[3]) ||
        !read_kind(line->words[4], &field.kind))
        return refuse(p, line, "'field TYPE NUMBER NAME value|list|map|ordered' expected");
    if (field.kind == CAIRN_FIELD_ORDERED && p->abi < 2)
        return refuse(p, line, "ordered maps are of guest ABI 2, and the module says 'abi 1'");
    if (!read_number(line->words[2], CAIRN_FIELD_NUMBER_MAX, &field.number))
        return refuse(p, line, "a field's number is 0 to 1023");
    type = cairn_types_type(p->types, line->words[1]);
    if (!type)
        return refuse(p, line, "no such type is declared");
    for (size_t i = 0; i < type->field_count; i++) {
        const struct cairn_field_decl *other = &type->fields[i];
        bool named = is(line->words[3], other->name);

        if (named && other->number == field.number && other->kind == field.kind)
            return CAIRN_OK;
        if (named)
            return refuse(p, line, "the type has a field of that name");
        if (other->number == field.number)
            return refuse(p, line, "the type has a field of that number");
    }
    field.name = cairn_bytes_dup(line->words[3]);
    type->fields = grown(type->fields, type->field_count, sizeof *type->fields);
    type->fields[type->field_count++] = field;
    return CAIRN_OK;
}

/* "retries=ATTEMPTS,FIRST,LONGEST" */
static bool read_retries(struct cairn_bytes word, struct cairn_retries *ret)
{
    static const char name[] = "retries=";
    static const uint32_t most[3] = {CAIRN_RETRIES_MAX, CAIRN_RETRY_MS_MAX, CAIRN_RETRY_MS_MAX};
    uint64_t numbers[3] = {0};
    size_t at = sizeof name - 1;

    if (ret->attempts || word.size < at || memcmp(word.data, name, at) != 0)
        return false;
    for (int i = 0; i < 3; i++) {
        size_t from = at;

        for (; at < word.size && word.data[at] >= '0' && word.data[at] <= '9' && at - from < 10; at++)
            numbers[i] = numbers[i] * 10 + (uint64_t)(word.data[at] - '0');
        if (at == from || numbers[i] == 0 || numbers[i] > most[i] ||
            (i < 2 && (at == word.size || word.data[at++] != ',')))
            return false;
    }
    *ret = (struct cairn_retries){(uint32_t)numbers[0], (uint32_t)numbers[1], (uint32_t)numbers[2]};
    return at == word.size && ret->first_ms <= ret->longest_ms;
}

static bool read_attributes(const struct line *line, struct cairn_method_decl *method)
{
    method->is_public = is(line->words[3], "public");
    if (!method->is_public && !is(line->words[3], "internal"))
        return false;
    for (size_t i = 4; i < line->count; i++) {
        bool *flag = is(line->words[i], "read-only")       ? &method->read_only
                     : is(line->words[i], "deterministic") ? &method->deterministic
                     : is(line->words[i], "transaction")   ? &method->transaction
                     : is(line->words[i], "uncached")      ? &method->uncached
                     : is(line->words[i], "durable")       ? &method->durable
                                                           : NULL;

        if (!flag &&
            (read_retries(line->words[i], &method->retries) || cairn_method_limit_read(line->words[i], method->limits)))
            continue;
        if (!flag || *flag)
            return false;
        *flag = true;
    }
    return !method->durable || (!method->read_only && !method->deterministic && !method->transaction);
}

static enum cairn_code take_method(struct parser *p, const struct line *line)
{
    struct cairn_method_decl method = {0}, *other;
    struct cairn_type_decl *type;

    if (line->count < 4 || !cairn_name_valid(line->words[1]) || !cairn_name_valid(line->words[2]) ||
        !read_attributes(line, &method))
        return refuse(p, line,
                      "'method TYPE NAME public|internal [read-only] [deterministic] [transaction] "
                      "[uncached] [durable] [retries=ATTEMPTS,FIRST_MS,LONGEST_MS] [limit-NAME=N ...]' expected, "
                      "durable with none of the first three, at most 1000 attempts and pauses of 7 days");
    type = cairn_types_type(p->types, line->words[1]);
    if (!type)
        return refuse(p, line, "no such type is declared");
    other = cairn_types_method(type, line->words[2]);
    if (other && other->is_public == method.is_public && other->read_only == method.read_only &&
        other->deterministic == method.deterministic && other->transaction == method.transaction &&
        other->uncached == method.uncached && other->durable == method.durable &&
        memcmp(&other->retries, &method.retries, sizeof method.retries) == 0 &&
        memcmp(other->limits, method.limits, sizeof method.limits) == 0)
        return CAIRN_OK;
    if (other)
        return refuse(p, line, "the type has a method of that name");
    if (type->method_count == CAIRN_TYPE_METHODS_MAX)
        return refuse(p, line, "too many methods");
    method.name = cairn_bytes_dup(line->words[2]);
    type->methods = grown(type->methods, type->method_count, sizeof *type->methods);
    type->methods[type->method_count++] = method;
    return CAIRN_OK;
}

static enum cairn_code take_limits(struct parser *p, const struct line *line)
{
    uint64_t limits[CAIRN_METHOD_LIMITS] = {0}, *of;
    static const uint64_t none[CAIRN_METHOD_LIMITS];
    struct cairn_type_decl *type;

    for (size_t i = 2; i < line->count; i++)
        if (!cairn_method_limit_read(line->words[i], limits))
            return refuse(p, line, "'limits TYPE limit-NAME=N ...' expected");
    if (line->count < 3)
        return refuse(p, line, "'limits TYPE limit-NAME=N ...' expected");
    type = cairn_types_type(p->types, line->words[1]);
    if (!type)
        return refuse(p, line, "no such type is declared");
    of = type->limits;
    if (memcmp(of, none, sizeof none) != 0 && memcmp(of, limits, sizeof limits) != 0)
        return refuse(p, line, "the type has other limits already");
    memcpy(of, limits, sizeof limits);
    return CAIRN_OK;
}

static enum cairn_code take_uncached(struct parser *p, const struct line *line)
{
    struct cairn_type_decl *type;

    if (line->count != 2)
        return refuse(p, line, "'uncached TYPE' expected");
    type = cairn_types_type(p->types, line->words[1]);
    if (!type)
        return refuse(p, line, "no such type is declared");
    type->uncached = true;
    return CAIRN_OK;
}

/* What a type says of all its methods. */
static void spread_uncached(struct cairn_types *types)
{
    for (size_t i = 0; i < types->type_count; i++)
        for (size_t k = 0; types->types[i].uncached && k < types->types[i].method_count; k++)
            types->types[i].methods[k].uncached = true;
}

/* Cuts the next line off and splits it into words; false at the end.  A line with more words
 * than any may have keeps WORDS_MAX + 1 as its count. */
static bool next_line(struct cairn_bytes *rest, struct line *line)
{
    size_t n = 0, start = 0;

    if (rest->size == 0)
        return false;
    while (n < rest->size && rest->data[n] != '\n' && rest->data[n] != 0)
        n++;
    line->number++;
    line->text = cairn_bytes(rest->data, n);
    line->count = 0;
    for (size_t i = 0; i <= n && n > 0 && line->count <= WORDS_MAX; i++)
        if (i == n || rest->data[i] == ' ') {
            if (line->count < WORDS_MAX)
                line->words[line->count] = cairn_bytes(rest->data + start, i - start);
            line->count++;
            start = i + 1;
        }
    if (n < rest->size)
        n++;
    *rest = cairn_bytes(rest->data + n, rest->size - n);
    return true;
}

static enum cairn_code take_lines(struct parser *p, struct cairn_bytes section, bool members)
{
    static const struct {
        const char *word;
        bool member;
        enum cairn_code (*take)(struct parser *p, const struct line *line);
    } kinds[] = {
        {"abi", false, take_abi},          {"module", false, take_module}, {"type", false, take_type},
        {"field", true, take_field},       {"method", true, take_method},  {"limits", true, take_limits},
        {"uncached", true, take_uncached},
    };
    struct line line = {0};

    while (next_line(&section, &line)) {
        size_t kind = 0;
        enum cairn_code code;

        if (line.count == 0)
            continue;
        while (kind < sizeof kinds / sizeof *kinds && !is(line.words[0], kinds[kind].word))
            kind++;
        if (kind == sizeof kinds / sizeof *kinds)
            return refuse(p, &line, "unknown declaration");
        if (line.count > WORDS_MAX)
            return refuse(p, &line, "too many words");
        if (kinds[kind].member != members)
            continue;
        code = kinds[kind].take(p, &line);
        if (code != CAIRN_OK)
            return code;
    }
    return CAIRN_OK;
}

enum cairn_code cairn_types_parse(struct cairn_bytes section, struct cairn_types *ret_types, struct cairn_err *err)
{
    struct cairn_types types = {0};
    struct parser p = {.types = &types, .err = err};
    enum cairn_code code;

    if (section.size > CAIRN_TYPES_BYTES_MAX)
        return cairn_fail(err, CAIRN_EMODULE, "cairn.types has %zu bytes, at most %d are allowed", section.size,
                          CAIRN_TYPES_BYTES_MAX);
    code = take_lines(&p, section, false);
    if (code == CAIRN_OK && !p.abi)
        code = cairn_fail(err, CAIRN_EMODULE, "cairn.types does not say which ABI the module is made for ('abi %d')",
                          CAIRN_ABI);
    if (code == CAIRN_OK && !types.module)
        code = cairn_fail(err, CAIRN_EMODULE, "cairn.types does not name the module ('module NAME')");
    if (code == CAIRN_OK && types.type_count == 0)
        code = cairn_fail(err, CAIRN_EMODULE, "cairn.types declares no type");
    if (code == CAIRN_OK)
        code = take_lines(&p, section, true);
    if (code != CAIRN_OK) {
        cairn_types_done(&types);
        return code;
    }
    spread_uncached(&types);
    *ret_types = types;
    return CAIRN_OK;
}

void cairn_types_done(struct cairn_types *types)
{
    for (size_t i = 0; i < types->type_count; i++) {
        struct cairn_type_decl *type = &types->types[i];

        for (size_t k = 0; k < type->field_count; k++)
            free(type->fields[k].name);
        for (size_t k = 0; k < type->method_count; k++)
            free(type->methods[k].name);
        free(type->fields);
        free(type->methods);
        free(type->name);
    }
    free(types->types);
    free(types->module);
    *types = (struct cairn_types){0};
}
