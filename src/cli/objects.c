/* cairn objects ls, show, rm, restore */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/clock.h"
#include "cli/commands.h"
#include "cli/moment.h"
#include "cli/print.h"
#include "cli/timers.h"
#include "proto/json.h"

struct options {
    const char *prefix, *at, *field, *from, *to;
    uint64_t limit, version;
    bool json, preview, reverse;
};

enum { PAGE = 1000 };

static void add_number(struct cairn_ask *ask, const char *name, uint64_t n)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, n);
    cairn_ask_query(ask, name, cairn_str(text));
}

/* --- ls --- */

static const struct cairn_flag ls_flags[] = {
    {.name = "prefix",
     .letter = 'p',
     .kind = CAIRN_FLAG_TEXT,
     .value = "TEXT",
     .help = "only ids that begin with this",
     .offset = offsetof(struct options, prefix)},
    {.name = "limit",
     .letter = 'n',
     .kind = CAIRN_FLAG_NUMBER,
     .value = "N",
     .help = "at most so many (all)",
     .min = 1,
     .offset = offsetof(struct options, limit)},
    CAIRN_FLAG_JSON(struct options),
    CAIRN_FLAG_NAMESPACE,
    {0},
};

/* One page of ids, from `cursor` on; the next cursor replaces it.  False: it is over, see *ret_exit. */
static bool list_page(const char *type, const struct options *options, uint64_t limit, struct cairn_buf *cursor,
                      uint64_t *ret_count, int *ret_exit)
{
    struct cairn_ask ask = {.method = "GET"};
    struct cairn_answer answer;
    struct cairn_buf text = {0};
    struct cairn_reader r;
    struct cairn_value v;
    bool more = false;

    cairn_ask_page(&ask, "objects");
    cairn_ask_path(&ask, cairn_str(type));
    add_number(&ask, "limit", limit);
    if (options->prefix)
        cairn_ask_query(&ask, "prefix", cairn_str(options->prefix));
    if (cursor->size) {
        cairn_base64_add(&text, cairn_buf_bytes(cursor), true);
        cairn_ask_query(&ask, "cursor", cairn_buf_bytes(&text));
        text.size = 0;
    }
    *ret_count = 0;
    if (cairn_ask(&ask, &answer, ret_exit)) {
        r = cairn_reader(cairn_buf_bytes(&answer.value));
        cairn_value_read(&r);
        *ret_count = cairn_value_read(&r).count;
        for (uint64_t i = 0; i < *ret_count; i++) {
            struct cairn_bytes id = cairn_value_read(&r).bytes;

            if (options->json) {
                cairn_json_bytes(&text, id);
            } else {
                cairn_inline_text(&text, id);
            }
            cairn_buf_u8(&text, '\n');
        }
        fwrite(text.data, 1, text.size, stdout);
        v = cairn_value_read(&r);
        cursor->size = 0;
        if (v.kind == CAIRN_VALUE_BYTES && !r.bad) {
            cairn_buf_add(cursor, v.bytes.data, v.bytes.size);
            more = true;
        }
    }
    cairn_buf_done(&text);
    cairn_answer_done(&answer);
    return more;
}

static int run_ls(int argc, char **argv)
{
    struct options options = {0};
    struct cairn_buf cursor = {0};
    uint64_t left, count;
    int status = CAIRN_EXIT_OK, arguments;
    bool more;

    if (!cairn_flags_parse(&cairn_command_objects_ls, argc, argv, &options, &arguments, &status))
        return status;
    if (strchr(argv[0], '/'))
        return cairn_complain(
            CAIRN_EXIT_USAGE,
            "'%s' is not a type: 'cairn objects ls TYPE' lists ids, 'cairn objects show %s' shows one "
            "object",
            argv[0], argv[0]);
    left = options.limit ? options.limit : UINT64_MAX;
    do {
        more = list_page(argv[0], &options, left < PAGE ? left : PAGE, &cursor, &count, &status);
        left -= count < left ? count : left;
    } while (more && left > 0);
    cairn_buf_done(&cursor);
    return status;
}

const struct cairn_command cairn_command_objects_ls = {
    .name = "objects ls",
    .arguments = "TYPE",
    .summary = "Lists the ids of a type's objects, in their order",
    .more = "With --json every line is one id: a string, or {\"base64\": ...} if it is not UTF-8.",
    .flags = ls_flags,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_ls,
};

/* --- show --- */

#define PAST_FLAGS                                                                        \
    {.name = "version",                                                                   \
     .kind = CAIRN_FLAG_NUMBER,                                                           \
     .value = "N",                                                                        \
     .help = "as it was at this version of the node",                                     \
     .min = 1,                                                                            \
     .max = UINT64_MAX,                                                                   \
     .offset = offsetof(struct options, version)},                                        \
    {                                                                                     \
        .name = "at", .kind = CAIRN_FLAG_TEXT, .value = "TIME",                           \
        .help = "as it was at this moment, as of 'cairn restore'; the node needs --blob", \
        .offset = offsetof(struct options, at)                                            \
    }

/* Of "TYPE/ID", and which past if one is given, which is told if `tells`; else than CAIRN_EXIT_OK a complaint. */
static int ask_object(struct cairn_ask *ask, const char *name, const struct options *options, bool tells)
{
    char complaint[CAIRN_MOMENT_COMPLAINT_BYTES], moment[CAIRN_MOMENT_TEXT_BYTES];
    struct cairn_bytes type, id;
    uint64_t ms = 0;
    int status;

    if (!cairn_object_name(name, &type, &id))
        return CAIRN_EXIT_USAGE;
    if (options->at && options->version)
        return cairn_complain(CAIRN_EXIT_USAGE, "give either a version or a moment");
    if (options->at && !cairn_moment_parse(options->at, &ms, complaint))
        return cairn_complain(CAIRN_EXIT_USAGE, "%s", complaint);
    if (options->at && tells) {
        status = cairn_clock_check_moment(options->at);
        if (status != CAIRN_EXIT_OK)
            return status;
    }
    if (options->at && !options->json && tells)
        cairn_complain(0, "--at %s is %s", options->at, cairn_moment_text(ms, moment));
    cairn_ask_page(ask, "objects");
    cairn_ask_path(ask, type);
    cairn_ask_path(ask, id);
    if (options->version)
        add_number(ask, "version", options->version);
    if (options->at)
        add_number(ask, "at", ms);
    return CAIRN_EXIT_OK;
}

static const struct cairn_flag show_flags[] = {
    {.name = "limit",
     .letter = 'n',
     .kind = CAIRN_FLAG_NUMBER,
     .value = "N",
     .help = "entries of a list or map (20; lists: the newest)",
     .min = 1,
     .max = 10000,
     .offset = offsetof(struct options, limit)},
    {.name = "field",
     .kind = CAIRN_FLAG_TEXT,
     .value = "NAME",
     .help = "only this field",
     .offset = offsetof(struct options, field)},
    {.name = "from",
     .kind = CAIRN_FLAG_TEXT,
     .value = "KEY",
     .help = "of ordered maps: from this key on; \\xNN stands for a byte",
     .offset = offsetof(struct options, from)},
    {.name = "to",
     .kind = CAIRN_FLAG_TEXT,
     .value = "KEY",
     .help = "of ordered maps: up to this key, and without it",
     .offset = offsetof(struct options, to)},
    {.name = "reverse",
     .kind = CAIRN_FLAG_SWITCH,
     .help = "of ordered maps: the last keys, the last first",
     .offset = offsetof(struct options, reverse)},
    PAST_FLAGS,
    CAIRN_FLAG_JSON(struct options),
    CAIRN_FLAG_NAMESPACE,
    {0},
};

/* A map's entries, ordered or not, are pairs. */
static bool has_keys(struct cairn_bytes kind)
{
    return cairn_bytes_equal(kind, cairn_str("map")) || cairn_bytes_equal(kind, cairn_str("ordered"));
}

static void print_entries(struct cairn_reader *r, uint64_t shown, bool map)
{
    struct cairn_buf text = {0};

    for (uint64_t i = 0; i < shown && !r->bad; i++) {
        struct cairn_bytes value;

        cairn_buf_str(&text, "    ");
        if (map) {
            cairn_value_read(r);
            cairn_inline_field(&text, cairn_value_read(r).bytes);
            value = cairn_value_read(r).bytes;
            if (value.size) {
                cairn_buf_str(&text, ": ");
                cairn_inline_field(&text, value);
            }
        } else {
            cairn_inline_field(&text, cairn_value_read(r).bytes);
        }
        cairn_buf_u8(&text, '\n');
    }
    fwrite(text.data, 1, text.size, stdout);
    cairn_buf_done(&text);
}

/* [name, kind, count, content] */
struct widths {
    int name, kind;
};

static void print_field(struct cairn_reader *r, struct widths widest, char mark)
{
    struct cairn_bytes name, kind;
    struct cairn_value content;
    struct cairn_buf text = {0};
    int64_t count;
    bool map;

    cairn_value_read(r);
    name = cairn_value_read(r).bytes;
    kind = cairn_value_read(r).bytes;
    count = cairn_value_read(r).integer;
    content = cairn_value_read(r);
    map = has_keys(kind);
    printf("%c %-*.*s  %-*.*s  ", mark, widest.name, (int)name.size, (const char *)name.data, widest.kind,
           (int)kind.size, (const char *)kind.data);
    if (content.kind == CAIRN_VALUE_BYTES) {
        cairn_inline_field(&text, content.bytes);
        printf("%.*s\n", (int)text.size, (const char *)text.data);
    } else if (content.kind != CAIRN_VALUE_LIST) {
        printf("-\n");
    } else {
        printf("%" PRId64 " %s", count, count == 1 ? "entry" : "entries");
        if ((uint64_t)count > content.count)
            printf(", %s %" PRIu64 ":",
                   !map                                            ? "the newest"
                   : cairn_bytes_equal(kind, cairn_str("ordered")) ? "of them"
                                                                   : "the first",
                   content.count);
        putchar('\n');
        print_entries(r, content.count, map);
    }
    cairn_buf_done(&text);
}

static struct widths widths_of(struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded);
    uint64_t count = cairn_value_read(&r).count;
    struct widths widest = {.kind = 5};

    for (uint64_t i = 0; i < count && !r.bad; i++) {
        struct cairn_reader field = cairn_reader(cairn_value_whole(&r));
        struct cairn_bytes text;

        cairn_value_read(&field);
        text = cairn_value_read(&field).bytes;
        if ((int)text.size > widest.name)
            widest.name = (int)text.size;
        text = cairn_value_read(&field).bytes;
        if ((int)text.size > widest.kind)
            widest.kind = (int)text.size;
    }
    return widest;
}

/* [timers, 1 if there are more], behind the fields; nothing if there are none. */
static void print_timers(struct cairn_reader *r)
{
    struct cairn_buf text = {0};
    uint64_t count;

    if (!cairn_reader_left(r))
        return;
    cairn_value_read(r);
    count = cairn_value_read(r).count;
    for (uint64_t i = 0; i < count && !r->bad; i++) {
        cairn_buf_str(&text, "    ");
        cairn_timer_text(&text, r);
        cairn_buf_u8(&text, '\n');
    }
    printf("  timers, %s%" PRIu64 ":\n%.*s", cairn_value_read(r).integer ? "the first " : "", count, (int)text.size,
           (const char *)text.data);
    cairn_buf_done(&text);
}

static void print_object(const char *name, struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded);
    uint64_t count = cairn_value_read(&r).count;
    struct widths widest = widths_of(encoded);

    printf("%s\n", name);
    for (uint64_t i = 0; i < count && !r.bad; i++)
        print_field(&r, widest, ' ');
    print_timers(&r);
}

/* An object's pages as one: fields, of which the last may go on in the page that follows. */
struct pages {
    struct cairn_buf fields, head, items, cursor; /* head: name, kind and count of the last field */
    struct cairn_buf timers;                      /* as the last page has them */
    uint64_t count, item_count;
    bool open, list; /* there is a last field; its content is a list */
};

static void end_field(struct pages *pages)
{
    if (!pages->open)
        return;
    cairn_value_add_list(&pages->fields, 4);
    cairn_buf_add(&pages->fields, pages->head.data, pages->head.size);
    if (pages->list)
        cairn_value_add_list(&pages->fields, pages->item_count);
    cairn_buf_add(&pages->fields, pages->items.data, pages->items.size);
    pages->count++;
    pages->open = false;
}

/* [name, kind, count, content] */
static void take_field(struct pages *pages, struct cairn_bytes field, bool first)
{
    struct cairn_reader r = cairn_reader(field), last = cairn_reader(cairn_buf_bytes(&pages->head));
    struct cairn_value content;
    struct cairn_bytes head;

    cairn_value_read(&r);
    head = cairn_bytes(r.at, cairn_reader_left(&r));
    if (!first || !pages->open || !cairn_bytes_equal(cairn_value_whole(&r), cairn_value_whole(&last))) {
        end_field(pages);
        pages->open = true;
        pages->item_count = pages->items.size = pages->head.size = 0;
        r = cairn_reader(head);
        cairn_value_whole(&r);
        cairn_value_whole(&r);
        cairn_value_whole(&r);
        cairn_buf_add(&pages->head, head.data, (size_t)(r.at - head.data));
    } else {
        cairn_value_whole(&r);
        cairn_value_whole(&r);
    }
    head = cairn_bytes(r.at, cairn_reader_left(&r));
    content = cairn_value_read(&r);
    pages->list = content.kind == CAIRN_VALUE_LIST;
    pages->item_count += content.count;
    if (pages->list)
        head = cairn_bytes(r.at, cairn_reader_left(&r));
    cairn_buf_add(&pages->items, head.data, head.size);
}

/* [fields, cursor], and of an object with timers these; true: there is another page. */
static bool take_page(struct pages *pages, struct cairn_bytes page)
{
    struct cairn_reader r = cairn_reader(page);
    struct cairn_bytes cursor;
    uint64_t parts = cairn_value_read(&r).count, count = cairn_value_read(&r).count;

    for (uint64_t i = 0; i < count && !r.bad; i++)
        take_field(pages, cairn_value_whole(&r), i == 0);
    cursor = cairn_value_read(&r).bytes;
    pages->cursor.size = 0;
    cairn_buf_add(&pages->cursor, cursor.data, cursor.size);
    if (parts > 2)
        cairn_buf_add(&pages->timers, r.at, cairn_reader_left(&r));
    return cursor.size && !r.bad;
}

/* A key as it is printed, without the quotes: \\xNN is a byte, and a backslash before anything else is left out. */
static void add_key(struct cairn_ask *ask, const char *name, const char *text)
{
    struct cairn_buf key = {0};

    for (; *text; text++) {
        unsigned byte = (uint8_t)*text;

        if (*text == '\\' && text[1] == 'x' && isxdigit((unsigned char)text[2]) && isxdigit((unsigned char)text[3])) {
            sscanf(text + 2, "%2x", &byte);
            text += 3;
        } else if (*text == '\\' && text[1] == 'n') {
            byte = '\n';
            text++;
        } else if (*text == '\\' && text[1]) {
            byte = (uint8_t) * ++text;
        }
        cairn_buf_u8(&key, (uint8_t)byte);
    }
    cairn_ask_query(ask, name, cairn_buf_bytes(&key));
    cairn_buf_done(&key);
}

static void add_range(struct cairn_ask *ask, const struct options *options)
{
    if (options->field)
        cairn_ask_query(ask, "field", cairn_str(options->field));
    if (options->from)
        add_key(ask, "from", options->from);
    if (options->to)
        add_key(ask, "to", options->to);
    if (options->reverse)
        add_number(ask, "reverse", 1);
}

/* All of the object's pages: *ret_fields is a list of fields, and behind it are its timers, if it has some.  False: see
 * *ret_status; with missing_is_empty an object that does not exist is an empty value. */
static bool fetch(const char *name, const struct options *options, uint64_t limit, bool missing_is_empty,
                  struct cairn_buf *ret_fields, int *ret_status)
{
    struct pages pages = {0};
    bool good = true, more = true;

    while (good && more) {
        struct cairn_ask ask = {.method = "GET", .missing_is_empty = missing_is_empty};
        struct cairn_answer answer = {0};
        struct cairn_buf text = {0};

        *ret_status = ask_object(&ask, name, options, !pages.cursor.size);
        good = *ret_status == CAIRN_EXIT_OK;
        if (good) {
            add_number(&ask, "limit", limit);
            add_range(&ask, options);
            cairn_base64_add(&text, cairn_buf_bytes(&pages.cursor), true);
            if (text.size)
                cairn_ask_query(&ask, "cursor", cairn_buf_bytes(&text));
            good = cairn_ask(&ask, &answer, ret_status);
        }
        more = good && answer.value.size && take_page(&pages, cairn_buf_bytes(&answer.value));
        cairn_buf_done(&text);
        cairn_answer_done(&answer);
    }
    if (good && pages.open) {
        end_field(&pages);
        cairn_value_add_list(ret_fields, pages.count);
        cairn_buf_add(ret_fields, pages.fields.data, pages.fields.size);
        cairn_buf_add(ret_fields, pages.timers.data, pages.timers.size);
    }
    cairn_buf_done(&pages.fields);
    cairn_buf_done(&pages.head);
    cairn_buf_done(&pages.items);
    cairn_buf_done(&pages.cursor);
    cairn_buf_done(&pages.timers);
    return good;
}

/* [name, kind, count, content], as the node's JSON has it. */
static void add_field_json(struct cairn_buf *to, struct cairn_reader *r)
{
    struct cairn_value content;
    struct cairn_bytes kind;
    bool map;

    cairn_value_read(r);
    cairn_buf_str(to, "{\"name\":");
    cairn_json_bytes(to, cairn_value_read(r).bytes);
    kind = cairn_value_read(r).bytes;
    map = has_keys(kind);
    cairn_buf_str(to, ",\"kind\":");
    cairn_json_bytes(to, kind);
    cairn_buf_printf(to, ",\"count\":%" PRId64 ",\"content\":", cairn_value_read(r).integer);
    content = cairn_value_read(r);
    if (content.kind == CAIRN_VALUE_BYTES)
        cairn_json_field(to, content.bytes);
    else if (content.kind != CAIRN_VALUE_LIST)
        cairn_buf_str(to, "null");
    else
        cairn_buf_u8(to, '[');
    for (uint64_t i = 0; i < content.count && !r->bad; i++) {
        if (i)
            cairn_buf_u8(to, ',');
        if (map) {
            cairn_value_read(r);
            cairn_buf_str(to, "{\"key\":");
            cairn_json_field(to, cairn_value_read(r).bytes);
            cairn_buf_str(to, ",\"value\":");
        }
        cairn_json_field(to, cairn_value_read(r).bytes);
        if (map)
            cairn_buf_u8(to, '}');
    }
    cairn_buf_str(to, content.kind == CAIRN_VALUE_LIST ? "]}" : "}");
}

static void add_timers_json(struct cairn_buf *to, struct cairn_reader *r)
{
    uint64_t count;

    if (!cairn_reader_left(r))
        return;
    cairn_value_read(r);
    count = cairn_value_read(r).count;
    cairn_buf_str(to, ",\"timers\":[");
    for (uint64_t i = 0; i < count && !r->bad; i++) {
        if (i)
            cairn_buf_u8(to, ',');
        cairn_timer_json(to, r);
    }
    cairn_buf_printf(to, "],\"more_timers\":%s", cairn_value_read(r).integer ? "true" : "false");
}

static void print_object_json(const char *name, struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded);
    uint64_t count = cairn_value_read(&r).count;
    struct cairn_bytes type = {0}, id = {0};
    struct cairn_buf text = {0};

    cairn_object_name(name, &type, &id);
    cairn_buf_str(&text, "{\"type\":");
    cairn_json_bytes(&text, type);
    cairn_buf_str(&text, ",\"id\":");
    cairn_json_bytes(&text, id);
    cairn_buf_str(&text, ",\"fields\":[");
    for (uint64_t i = 0; i < count && !r.bad; i++) {
        if (i)
            cairn_buf_u8(&text, ',');
        add_field_json(&text, &r);
    }
    cairn_buf_u8(&text, ']');
    add_timers_json(&text, &r);
    cairn_buf_str(&text, "}\n");
    fwrite(text.data, 1, text.size, stdout);
    cairn_buf_done(&text);
}

static int run_show(int argc, char **argv)
{
    struct options options = {.limit = 20};
    struct cairn_buf fields = {0};
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_objects_show, argc, argv, &options, &left, &status))
        return status;
    if (fetch(argv[0], &options, options.limit, false, &fields, &status))
        (options.json ? print_object_json : print_object)(argv[0], cairn_buf_bytes(&fields));
    cairn_buf_done(&fields);
    return status;
}

const struct cairn_command cairn_command_objects_show = {
    .name = "objects show",
    .arguments = "TYPE/ID",
    .summary = "Shows what is in an object's fields",
    .flags = show_flags,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_show,
};

/* --- rm --- */

static const struct cairn_flag rm_flags[] = {CAIRN_FLAG_JSON(struct options), CAIRN_FLAG_NAMESPACE, {0}};

static int remove_one(const char *name, bool json)
{
    struct cairn_ask ask = {.method = "DELETE", .json = json};
    struct cairn_answer answer;
    struct cairn_bytes type, id;
    int status = CAIRN_EXIT_OK;

    if (!cairn_object_name(name, &type, &id))
        return CAIRN_EXIT_USAGE;
    cairn_ask_page(&ask, "objects");
    cairn_ask_path(&ask, type);
    cairn_ask_path(&ask, id);
    if (cairn_ask(&ask, &answer, &status)) {
        struct cairn_reader r = cairn_reader(cairn_buf_bytes(&answer.value));

        if (cairn_value_read(&r).integer)
            printf("%s removed\n", name);
        else
            status = cairn_complain(CAIRN_EXIT_FAILED, "there is no object %s", name);
    }
    cairn_answer_done(&answer);
    return status;
}

static int run_rm(int argc, char **argv)
{
    struct options options = {0};
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_objects_rm, argc, argv, &options, &left, &status))
        return status;
    for (int i = 0; i < left; i++) {
        int one = remove_one(argv[i], options.json);

        if (one == CAIRN_EXIT_UNREACHABLE)
            return one;
        if (one > status)
            status = one;
    }
    return status;
}

const struct cairn_command cairn_command_objects_rm = {
    .name = "objects rm",
    .arguments = "TYPE/ID...",
    .summary = "Removes objects and all that is in them",
    .flags = rm_flags,
    .arguments_min = 1,
    .arguments_max = -1,
    .run = run_rm,
};

/* --- restore --- */

static const struct cairn_flag restore_flags[] = {
    PAST_FLAGS,
    {.name = "preview",
     .kind = CAIRN_FLAG_SWITCH,
     .help = "only show what would change",
     .offset = offsetof(struct options, preview)},
    CAIRN_FLAG_JSON(struct options),
    CAIRN_FLAG_NAMESPACE,
    {0},
};

/* Fields that differ: as they are with '-', as they would be with '+'. */
static void print_changes(const char *name, struct cairn_bytes now, struct cairn_bytes then)
{
    struct cairn_reader a = cairn_reader(now), b = cairn_reader(then);
    uint64_t count_a = now.size ? cairn_value_read(&a).count : 0, count_b = then.size ? cairn_value_read(&b).count : 0;
    struct widths widest = widths_of(now.size ? now : then);
    bool same = count_a == count_b;

    if (!now.size || !then.size) {
        printf(!now.size && !then.size ? "%s did not exist then, and does not now\n"
               : now.size              ? "%s did not exist then: it would be removed\n"
                                       : "%s does not exist now: it would be there again\n",
               name);
        same = false;
    }
    for (uint64_t i = 0; (i < count_a || i < count_b) && !a.bad && !b.bad; i++) {
        struct cairn_bytes x = i < count_a ? cairn_value_whole(&a) : cairn_bytes(NULL, 0);
        struct cairn_bytes y = i < count_b ? cairn_value_whole(&b) : cairn_bytes(NULL, 0);
        struct cairn_reader field;

        if (cairn_bytes_equal(x, y))
            continue;
        if (same)
            printf("%s\n", name);
        same = false;
        field = cairn_reader(x);
        if (x.size)
            print_field(&field, widest, '-');
        field = cairn_reader(y);
        if (y.size)
            print_field(&field, widest, '+');
    }
    if (same)
        printf("%s is as it was then, as far as 20 entries of each list and map show\n", name);
}

static int preview(const char *name, const struct options *options)
{
    struct cairn_buf now = {0}, then = {0};
    int status;

    if (fetch(name, options, 20, true, &then, &status) && fetch(name, &(struct options){0}, 20, true, &now, &status))
        print_changes(name, cairn_buf_bytes(&now), cairn_buf_bytes(&then));
    cairn_buf_done(&now);
    cairn_buf_done(&then);
    return status;
}

static int run_restore(int argc, char **argv)
{
    struct options options = {0};
    struct cairn_ask ask = {.method = "PUT"};
    struct cairn_answer answer;
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_objects_restore, argc, argv, &options, &left, &status))
        return status;
    if (!options.at && !options.version)
        return cairn_complain(CAIRN_EXIT_USAGE, "give --version or --at; 'cairn versions' lists versions");
    if (options.preview)
        return preview(argv[0], &options);
    ask.json = options.json;
    status = ask_object(&ask, argv[0], &options, true);
    if (status != CAIRN_EXIT_OK)
        return status;
    if (cairn_ask(&ask, &answer, &status)) {
        struct cairn_reader r = cairn_reader(cairn_buf_bytes(&answer.value));

        printf(cairn_value_read(&r).integer ? "%s is as it was\n" : "%s did not exist then, and does not now\n",
               argv[0]);
    }
    cairn_answer_done(&answer);
    return status;
}

const struct cairn_command cairn_command_objects_restore = {
    .name = "objects restore",
    .arguments = "TYPE/ID",
    .summary = "Brings an object back to what it was at a version or a moment",
    .more = "While the node runs, as one commit; all other objects stay as they are.",
    .flags = restore_flags,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_restore,
};

static const struct cairn_command *const subcommands[] = {
    &cairn_command_objects_ls,
    &cairn_command_objects_show,
    &cairn_command_objects_rm,
    &cairn_command_objects_restore,
    NULL,
};

const struct cairn_command cairn_command_objects = {
    .name = "objects",
    .arguments = "ls|show|rm|restore ...",
    .summary = "Lists, shows, removes and restores objects",
    .subcommands = subcommands,
};
