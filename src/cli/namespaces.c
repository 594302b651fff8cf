/* cairn namespaces: makes, lists, shows, limits and removes namespaces. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "fn/limits.h"

enum { REMOVAL_POLL_MS = 100 };

struct options {
    const char *requests, *connections, *memory, *bytes, *objects, *cpu, *instances, *weight, *messages, *message_bytes;
    const char *of_method[CAIRN_METHOD_LIMITS];
    bool json, drop;
};

#define METHOD_LIMIT(flag, number, what, text)                                          \
    {                                                                                   \
        .name = flag, .kind = CAIRN_FLAG_TEXT, .value = what, .help = text,             \
        .offset = offsetof(struct options, of_method) + (number) * sizeof(const char *) \
    }

static const struct cairn_flag json_flags[] = {CAIRN_FLAG_JSON(struct options), {0}};

static const struct cairn_flag limit_flags[] = {
    {.name = "requests",
     .kind = CAIRN_FLAG_TEXT,
     .value = "N/s",
     .help = "requests a second, and as many at once after a second without any",
     .offset = offsetof(struct options, requests)},
    {.name = "connections",
     .kind = CAIRN_FLAG_TEXT,
     .value = "N",
     .help = "connections whose latest request was to it",
     .offset = offsetof(struct options, connections)},
    {.name = "memory",
     .kind = CAIRN_FLAG_TEXT,
     .value = "SIZE",
     .help = "calls and results under way, as in 64MiB",
     .offset = offsetof(struct options, memory)},
    {.name = "bytes",
     .kind = CAIRN_FLAG_TEXT,
     .value = "SIZE",
     .help = "of its objects, timers and messages: keys and values, as in 10GiB",
     .offset = offsetof(struct options, bytes)},
    {.name = "objects",
     .kind = CAIRN_FLAG_TEXT,
     .value = "N",
     .help = "objects that exist",
     .offset = offsetof(struct options, objects)},
    {.name = "messages",
     .kind = CAIRN_FLAG_TEXT,
     .value = "N",
     .help = "messages that wait, and dead letters",
     .offset = offsetof(struct options, messages)},
    {.name = "message-bytes",
     .kind = CAIRN_FLAG_TEXT,
     .value = "SIZE",
     .help = "of these: keys and values",
     .offset = offsetof(struct options, message_bytes)},
    {.name = "cpu",
     .kind = CAIRN_FLAG_TEXT,
     .value = "N%",
     .help = "processor time of its methods: 100% is one processor's",
     .offset = offsetof(struct options, cpu)},
    {.name = "instances",
     .kind = CAIRN_FLAG_TEXT,
     .value = "N",
     .help = "function instances held by what waits for calls, or is slow",
     .offset = offsetof(struct options, instances)},
    {.name = "weight",
     .kind = CAIRN_FLAG_TEXT,
     .value = "N",
     .help = "its share of time while others want it too: 1 to 1000, 100 if not given",
     .offset = offsetof(struct options, weight)},
    METHOD_LIMIT("limit-cpu", CAIRN_LIMIT_CPU, "MS", "processor time of an invocation"),
    METHOD_LIMIT("limit-memory", CAIRN_LIMIT_MEMORY, "SIZE", "memory of an invocation"),
    METHOD_LIMIT("limit-calls", CAIRN_LIMIT_CALLS, "N", "calls that an invocation makes itself"),
    METHOD_LIMIT("limit-result", CAIRN_LIMIT_RESULT, "SIZE", "what an invocation returns"),
    METHOD_LIMIT("limit-write-set", CAIRN_LIMIT_WRITE_SET, "SIZE", "what an invocation writes between two waits"),
    METHOD_LIMIT("limit-journal", CAIRN_LIMIT_JOURNAL, "SIZE", "journal of a durable invocation"),
    METHOD_LIMIT("limit-transaction", CAIRN_LIMIT_TRANSACTION, "SIZE", "what a transaction writes"),
    METHOD_LIMIT("limit-transaction-objects", CAIRN_LIMIT_TRANSACTION_OBJECTS, "N", "objects of a transaction"),
    METHOD_LIMIT("limit-transaction-time", CAIRN_LIMIT_TRANSACTION_TIME, "MS", "a transaction, from its first lock on"),
    CAIRN_FLAG_JSON(struct options),
    {0},
};

static const struct cairn_flag rm_flags[] = {
    {.name = "drop",
     .kind = CAIRN_FLAG_SWITCH,
     .help = "remove all that is in it too: objects, modules, messages, timers,\n"
             "durable invocations, what ZooKeeper's clients keep, log lines",
     .offset = offsetof(struct options, drop)},
    CAIRN_FLAG_JSON(struct options),
    {0},
};

/* "/v1/namespaces[/NAME]" */
static void name_page(struct cairn_ask *ask, const char *name)
{
    cairn_buf_str(&ask->target, "/v1/namespaces");
    if (name)
        cairn_ask_path(ask, cairn_str(name));
}

/* "1000", "1000/s", "64MiB", "none". */
static bool read_amount(const char *text, const char *unit, uint64_t *ret)
{
    static const char *const sizes[] = {"", "KiB", "MiB", "GiB", "TiB"};
    unsigned long long n;
    char *end;

    *ret = 0;
    if (strcmp(text, "none") == 0)
        return true;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    n = strtoull(text, &end, 10);
    for (unsigned i = 0; i < (unit ? 1 : sizeof sizes / sizeof sizes[0]); i++)
        if (strcmp(end, sizes[i]) == 0 || (unit && strcmp(end, unit) == 0)) {
            *ret = (uint64_t)n << 10 * i;
            return errno == 0 && *ret >> 10 * i == n && n < UINT64_C(1000000000000000);
        }
    return false;
}

static bool add_limit(struct cairn_ask *ask, const char *name, const char *text, const char *unit)
{
    uint64_t amount;
    char number[24], field[64];

    if (!text)
        return true;
    if (!read_amount(text, unit, &amount)) {
        cairn_complain(0, "--%s takes a number%s%s, or none, not '%s'", name,
                       unit && *unit ? " and "
                       : unit        ? ""
                                     : " with KiB, MiB, GiB or TiB",
                       unit ? unit : "", text);
        return false;
    }
    snprintf(number, sizeof number, "%" PRIu64, amount);
    snprintf(field, sizeof field, "%s", name);
    for (char *c = field; *c; c++)
        *c = *c == '-' ? '_' : *c;
    cairn_ask_query(ask, field, cairn_str(number));
    return true;
}

static bool add_method_limit(struct cairn_ask *ask, enum cairn_method_limit limit, const char *text)
{
    static const char *const units[] = {[CAIRN_UNIT_COUNT] = "", [CAIRN_UNIT_MS] = "ms", [CAIRN_UNIT_BYTES] = NULL};

    return add_limit(ask, cairn_method_limit_name(limit), text, units[cairn_method_limit_unit(limit)]);
}

static bool add_limits(struct cairn_ask *ask, const struct options *options)
{
    for (enum cairn_method_limit i = CAIRN_LIMIT_CPU; i < CAIRN_METHOD_LIMITS; i++)
        if (!add_method_limit(ask, i, options->of_method[i]))
            return false;
    return add_limit(ask, "requests", options->requests, "/s") &&
           add_limit(ask, "connections", options->connections, "") && add_limit(ask, "memory", options->memory, NULL) &&
           add_limit(ask, "bytes", options->bytes, NULL) && add_limit(ask, "objects", options->objects, "") &&
           add_limit(ask, "cpu", options->cpu, "%") && add_limit(ask, "instances", options->instances, "") &&
           add_limit(ask, "weight", options->weight, "") && add_limit(ask, "messages", options->messages, "") &&
           add_limit(ask, "message-bytes", options->message_bytes, NULL);
}

/* --- ls and show --- */

/* As CAIRN_OP_SPACES has them (object/object.h). */
enum { REQUESTS, CONNECTIONS, MEMORY, BYTES, OBJECTS, CPU, INSTANCES, WEIGHT, OF_METHOD };
enum { MESSAGES = OF_METHOD + CAIRN_METHOD_LIMITS, MESSAGE_BYTES, LIMITS };
enum {
    USED_INVOCATIONS,
    USED_CPU_US,
    USED_REFUSED,
    USED_CONNECTIONS,
    USED_MEMORY,
    USED_OPERATIONS,
    USED_BYTES,
    USED_OBJECTS,
    USED_INSTANCES,
    USED_MESSAGES,
    USED_MESSAGE_BYTES,
    USES
};

struct item {
    struct cairn_bytes name;
    int64_t created_ms, modules, limits[LIMITS], used[USES];
    bool removing;
};

/* The next list, of which `count` integers are known. */
static void read_ints(struct cairn_reader *r, int64_t *to, uint64_t count)
{
    uint64_t there = cairn_value_read(r).count;

    for (uint64_t i = 0; i < there && !r->bad; i++) {
        int64_t value = cairn_value_read(r).integer;

        if (i < count)
            to[i] = value;
    }
}

static struct item read_item(struct cairn_reader *r)
{
    struct item item = {0};

    cairn_value_read(r);
    item.name = cairn_value_read(r).bytes;
    item.created_ms = cairn_value_read(r).integer;
    item.modules = cairn_value_read(r).integer;
    read_ints(r, item.limits, LIMITS);
    read_ints(r, item.used, USES);
    item.removing = cairn_value_read(r).integer;
    return item;
}

static void add_created(struct cairn_buf *to, int64_t created_ms)
{
    if (created_ms)
        cairn_inline_time(to, created_ms);
    else
        cairn_buf_str(to, "with the node");
}

static void print_list(struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded);
    uint64_t count = cairn_value_read(&r).count;
    struct cairn_table table = {.columns = 3};

    cairn_table_cell(&table, cairn_str("NAMESPACE"));
    cairn_table_cell(&table, cairn_str("MODULES"));
    cairn_table_cell(&table, cairn_str("CREATED"));
    for (uint64_t i = 0; i < count && !r.bad; i++) {
        struct item item = read_item(&r);
        struct cairn_buf text = {0};

        cairn_table_cell(&table, item.name);
        cairn_buf_printf(&text, "%" PRId64, item.modules);
        cairn_table_cell(&table, cairn_buf_bytes(&text));
        text.size = 0;
        add_created(&text, item.created_ms);
        cairn_table_cell(&table, cairn_buf_bytes(&text));
        cairn_buf_done(&text);
    }
    cairn_table_print(&table, stdout);
    cairn_buf_done(&table.text);
}

static int run_ls(int argc, char **argv)
{
    struct options options = {0};
    struct cairn_ask ask = {.method = "GET", .lists = true};
    struct cairn_answer answer;
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_namespaces_ls, argc, argv, &options, &left, &status))
        return status;
    ask.json = options.json;
    name_page(&ask, NULL);
    if (cairn_ask(&ask, &answer, &status))
        print_list(cairn_buf_bytes(&answer.value));
    cairn_answer_done(&answer);
    return status;
}

const struct cairn_command cairn_command_namespaces_ls = {
    .name = "namespaces ls",
    .arguments = "",
    .summary = "Lists the namespaces",
    .flags = json_flags,
    .run = run_ls,
};

static void print_limit(const char *name, int64_t limit, const char *unit)
{
    if (limit)
        printf(" of %" PRId64 "%s (--%s)", limit, unit, name);
    putchar('\n');
}

static void print_rate(const char *name, int64_t limit, const char *unit)
{
    if (limit)
        printf("; at most %" PRId64 "%s (--%s)", limit, unit, name);
    putchar('\n');
}

static void print_item(struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded);
    struct item item = read_item(&r);
    struct cairn_buf text = {0};

    add_created(&text, item.created_ms);
    printf("%.*s\n  created      %.*s\n  modules      %" PRId64 "\n", (int)item.name.size, (const char *)item.name.data,
           (int)text.size, (const char *)text.data, item.modules);
    if (item.removing)
        puts("  is being removed, with all that it has: what is left is below");
    if (cairn_bytes_equal(item.name, cairn_str("default"))) {
        puts("  objects      not counted in this namespace, nor their bytes, nor messages");
    } else {
        printf("  objects      %" PRId64, item.used[USED_OBJECTS]);
        print_limit("objects", item.limits[OBJECTS], "");
        printf("  bytes        %" PRId64 " of keys and values", item.used[USED_BYTES]);
        print_limit("bytes", item.limits[BYTES], "");
        printf("  messages     %" PRId64 " that wait or are dead letters", item.used[USED_MESSAGES]);
        print_limit("messages", item.limits[MESSAGES], "");
        printf("  their bytes  %" PRId64, item.used[USED_MESSAGE_BYTES]);
        print_limit("message-bytes", item.limits[MESSAGE_BYTES], "");
    }
    printf("  connections  %" PRId64, item.used[USED_CONNECTIONS]);
    print_limit("connections", item.limits[CONNECTIONS], "");
    printf("  memory       %" PRId64 " bytes of calls and results under way", item.used[USED_MEMORY]);
    print_limit("memory", item.limits[MEMORY], "");
    printf("  instances    %" PRId64 " held", item.used[USED_INSTANCES]);
    print_limit("instances", item.limits[INSTANCES], "");
    printf("  weight       %" PRId64 "\n", item.limits[WEIGHT] ? item.limits[WEIGHT] : 100);
    for (enum cairn_method_limit i = CAIRN_LIMIT_CPU; i < CAIRN_METHOD_LIMITS; i++) {
        char value[CAIRN_LIMIT_TEXT_BYTES];

        if (item.limits[OF_METHOD + i])
            printf("  %s  at most %s, for one invocation\n", cairn_method_limit_name(i),
                   cairn_method_limit_text(i, (uint64_t)item.limits[OF_METHOD + i], value));
    }
    printf("  since the node's start\n    invocations  %" PRId64 ", %" PRId64 " operations",
           item.used[USED_INVOCATIONS], item.used[USED_OPERATIONS]);
    print_rate("requests", item.limits[REQUESTS], " requests/s");
    printf("    cpu          %.3f s", (double)item.used[USED_CPU_US] / 1e6);
    print_rate("cpu", item.limits[CPU], "% of a processor");
    printf("    refused      %" PRId64 " requests and connections\n", item.used[USED_REFUSED]);
    cairn_buf_done(&text);
}

static int run_show(int argc, char **argv)
{
    struct options options = {0};
    struct cairn_ask ask = {.method = "GET"};
    struct cairn_answer answer;
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_namespaces_show, argc, argv, &options, &left, &status))
        return status;
    ask.json = options.json;
    name_page(&ask, argv[0]);
    if (cairn_ask(&ask, &answer, &status))
        print_item(cairn_buf_bytes(&answer.value));
    cairn_answer_done(&answer);
    return status;
}

const struct cairn_command cairn_command_namespaces_show = {
    .name = "namespaces show",
    .arguments = "NAMESPACE",
    .summary = "Shows a namespace",
    .flags = json_flags,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_show,
};

/* --- create and rm --- */

/* PUT makes the namespace of the first argument, POST changes its limits; then `say` tells of it. */
static int ask_with_limits(const struct cairn_command *command, const char *method, int argc, char **argv,
                           void (*say)(const char *name, struct cairn_bytes item))
{
    struct options options = {0};
    struct cairn_ask ask = {.method = method};
    struct cairn_answer answer;
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(command, argc, argv, &options, &left, &status))
        return status;
    ask.json = options.json;
    name_page(&ask, argv[0]);
    if (!add_limits(&ask, &options)) {
        cairn_buf_done(&ask.target);
        return CAIRN_EXIT_USAGE;
    }
    if (cairn_ask(&ask, &answer, &status))
        say(argv[0], cairn_buf_bytes(&answer.value));
    cairn_answer_done(&answer);
    return status;
}

static void say_created(const char *name, struct cairn_bytes item)
{
    (void)item;
    printf("%s created; --namespace %s or CAIRN_NAMESPACE=%s uses it\n", name, name, name);
}

static int run_create(int argc, char **argv)
{
    return ask_with_limits(&cairn_command_namespaces_create, "PUT", argc, argv, say_created);
}

const struct cairn_command cairn_command_namespaces_create = {
    .name = "namespaces create",
    .arguments = "NAMESPACE",
    .summary = "Makes a namespace, which sees nothing of the others",
    .more = "A name has 1 to 64 lower-case letters, digits, - and _, and begins with a letter.\n"
            "A request beyond a limit is refused before anything runs ('quota'), and told when to come\n"
            "again.  Without a limit it has what the node has.",
    .flags = limit_flags,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_create,
};

static void say_item(const char *name, struct cairn_bytes item)
{
    (void)name;
    print_item(item);
}

static int run_set(int argc, char **argv)
{
    return ask_with_limits(&cairn_command_namespaces_set, "POST", argc, argv, say_item);
}

const struct cairn_command cairn_command_namespaces_set = {
    .name = "namespaces set",
    .arguments = "NAMESPACE",
    .summary = "Changes the limits of a namespace",
    .more = "Limits that are not named stay as they are; 'none' takes one away.",
    .flags = limit_flags,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_set,
};

/* What is left of a namespace that is being removed; false: nothing is, or *ret_exit says what is wrong. */
static bool ask_what_is_left(const char *name, struct cairn_answer *answer, int *ret_exit)
{
    struct cairn_ask ask = {.method = "GET", .missing_is_empty = true};

    name_page(&ask, name);
    return cairn_ask(&ask, answer, ret_exit) && answer->value.size;
}

static void show_progress(const struct cairn_answer *answer)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&answer->value));
    struct item item = read_item(&r);

    if (!isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r%.*s: %" PRId64 " objects and %" PRId64 " messages left   ", (int)item.name.size,
            (const char *)item.name.data, item.used[USED_OBJECTS], item.used[USED_MESSAGES]);
}

/* The node does it, and goes on with it if nobody waits. */
static int await_removal(const char *name)
{
    const struct timespec pause = {.tv_nsec = REMOVAL_POLL_MS * 1000000};
    struct cairn_answer answer = {0};
    int status = CAIRN_EXIT_OK;
    bool shown = false;

    while (ask_what_is_left(name, &answer, &status)) {
        show_progress(&answer);
        shown = true;
        cairn_answer_done(&answer);
        nanosleep(&pause, NULL);
    }
    cairn_answer_done(&answer);
    if (shown && isatty(STDERR_FILENO))
        fputc('\n', stderr);
    if (status == CAIRN_EXIT_OK)
        printf("%s removed, with all that it had\n", name);
    return status;
}

static int run_rm(int argc, char **argv)
{
    struct options options = {0};
    struct cairn_ask ask = {.method = "DELETE"};
    struct cairn_answer answer;
    int status = CAIRN_EXIT_OK, left;
    bool good;

    if (!cairn_flags_parse(&cairn_command_namespaces_rm, argc, argv, &options, &left, &status))
        return status;
    ask.json = options.json;
    name_page(&ask, argv[0]);
    if (options.drop)
        cairn_buf_str(&ask.target, "?drop");
    good = cairn_ask(&ask, &answer, &status);
    cairn_answer_done(&answer);
    if (good && options.drop)
        return await_removal(argv[0]);
    if (good)
        printf("%s removed\n", argv[0]);
    return status;
}

const struct cairn_command cairn_command_namespaces_rm = {
    .name = "namespaces rm",
    .arguments = "NAMESPACE",
    .summary = "Removes a namespace; refused while there are modules in it",
    .more =
        "With --drop it goes with all that it has: from the answer on nothing can be done in it any more, and the\n"
        "node empties it, a little at a time, whether anybody waits or not.  With --json the command does not wait:\n"
        "it prints what is left, and `cairn namespaces show` tells more until the namespace is gone.",
    .flags = rm_flags,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_rm,
};

static const struct cairn_command *const subcommands[] = {
    &cairn_command_namespaces_ls,  &cairn_command_namespaces_create, &cairn_command_namespaces_show,
    &cairn_command_namespaces_set, &cairn_command_namespaces_rm,     NULL,
};

const struct cairn_command cairn_command_namespaces = {
    .name = "namespaces",
    .arguments = "[ls]|create|show|set|rm ...",
    .summary = "Lists, makes, shows, limits and removes namespaces",
    .subcommands = subcommands,
};
