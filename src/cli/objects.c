/* cairn objects ls, show, rm */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "proto/json.h"

struct options {
    const char *prefix;
    uint64_t limit;
    bool json;
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

    cairn_buf_str(&ask.target, "/v1/objects");
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

static const struct cairn_flag show_flags[] = {
    {.name = "limit",
     .letter = 'n',
     .kind = CAIRN_FLAG_NUMBER,
     .value = "N",
     .help = "entries of a list or map (20; lists: the newest)",
     .min = 1,
     .max = 10000,
     .offset = offsetof(struct options, limit)},
    CAIRN_FLAG_JSON(struct options),
    {0},
};

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
static void print_field(struct cairn_reader *r, int widest)
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
    map = cairn_bytes_equal(kind, cairn_str("map"));
    printf("  %-*.*s  %-5.*s  ", widest, (int)name.size, (const char *)name.data, (int)kind.size,
           (const char *)kind.data);
    if (content.kind == CAIRN_VALUE_BYTES) {
        cairn_inline_field(&text, content.bytes);
        printf("%.*s\n", (int)text.size, (const char *)text.data);
    } else if (content.kind != CAIRN_VALUE_LIST) {
        printf("-\n");
    } else {
        printf("%" PRId64 " %s", count, count == 1 ? "entry" : "entries");
        if ((uint64_t)count > content.count)
            printf(", the %s %" PRIu64 ":", map ? "first" : "newest", content.count);
        putchar('\n');
        print_entries(r, content.count, map);
    }
    cairn_buf_done(&text);
}

static void print_object(const char *name, struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded), first;
    uint64_t count = cairn_value_read(&r).count;
    int widest = 0;

    printf("%s\n", name);
    first = r;
    for (uint64_t i = 0; i < count && !r.bad; i++) {
        struct cairn_reader field = cairn_reader(cairn_value_whole(&r));
        struct cairn_bytes text;

        cairn_value_read(&field);
        text = cairn_value_read(&field).bytes;
        if ((int)text.size > widest)
            widest = (int)text.size;
    }
    r = first;
    for (uint64_t i = 0; i < count && !r.bad; i++)
        print_field(&r, widest);
}

static int run_show(int argc, char **argv)
{
    struct options options = {.limit = 20};
    struct cairn_ask ask = {.method = "GET"};
    struct cairn_answer answer;
    struct cairn_bytes type, id;
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_objects_show, argc, argv, &options, &left, &status))
        return status;
    if (!cairn_object_name(argv[0], &type, &id))
        return CAIRN_EXIT_USAGE;
    ask.json = options.json;
    cairn_buf_str(&ask.target, "/v1/objects");
    cairn_ask_path(&ask, type);
    cairn_ask_path(&ask, id);
    add_number(&ask, "limit", options.limit);
    if (cairn_ask(&ask, &answer, &status))
        print_object(argv[0], cairn_buf_bytes(&answer.value));
    cairn_answer_done(&answer);
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

static const struct cairn_flag rm_flags[] = {CAIRN_FLAG_JSON(struct options), {0}};

static int remove_one(const char *name, bool json)
{
    struct cairn_ask ask = {.method = "DELETE", .json = json};
    struct cairn_answer answer;
    struct cairn_bytes type, id;
    int status = CAIRN_EXIT_OK;

    if (!cairn_object_name(name, &type, &id))
        return CAIRN_EXIT_USAGE;
    cairn_buf_str(&ask.target, "/v1/objects");
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

static const struct cairn_command *const subcommands[] = {
    &cairn_command_objects_ls,
    &cairn_command_objects_show,
    &cairn_command_objects_rm,
    NULL,
};

const struct cairn_command cairn_command_objects = {
    .name = "objects",
    .arguments = "ls|show|rm ...",
    .summary = "Lists, shows and removes objects",
    .subcommands = subcommands,
};
