/* cairn call */
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "server/http_media.h"

enum { STDIN_BYTES_MAX = 64 << 20 };

struct options {
    const char *key;
    uint64_t delay;
    bool json, read_only, raw, send;
};

static const struct cairn_flag flags[] = {
    {.name = "key",
     .letter = 'k',
     .kind = CAIRN_FLAG_TEXT,
     .value = "KEY",
     .help = "idempotency key: the call takes effect once,\nhowever often it is sent",
     .offset = offsetof(struct options, key)},
    {.name = "read-only",
     .letter = 'r',
     .kind = CAIRN_FLAG_SWITCH,
     .help = "only if the method is read-only",
     .offset = offsetof(struct options, read_only)},
    {.name = "send",
     .kind = CAIRN_FLAG_SWITCH,
     .help = "as a message: do not wait for the method;\nthe message's number is printed",
     .offset = offsetof(struct options, send)},
    {.name = "delay",
     .kind = CAIRN_FLAG_NUMBER,
     .value = "MS",
     .help = "of a message: run it after so many milliseconds",
     .min = 1,
     .max = UINT64_MAX,
     .offset = offsetof(struct options, delay)},
    {.name = "json",
     .kind = CAIRN_FLAG_SWITCH,
     .help = "print the result as JSON",
     .offset = offsetof(struct options, json)},
    {.name = "raw",
     .kind = CAIRN_FLAG_SWITCH,
     .help = "print the result's bytes as they are, no line end",
     .offset = offsetof(struct options, raw)},
    CAIRN_FLAG_NAMESPACE,
    {0},
};

/* False: too long. */
static bool read_stdin(struct cairn_buf *to)
{
    size_t n;

    while ((n = fread(cairn_buf_reserve(to, 64 << 10), 1, 64 << 10, stdin)) > 0) {
        to->size += n;
        if (to->size > STDIN_BYTES_MAX)
            return false;
    }
    return true;
}

/* The arguments as one encoded list; a "-" is the standard input. */
static bool encode_args(int argc, char **argv, struct cairn_buf *to)
{
    cairn_value_add_list(to, (uint64_t)argc);
    for (int i = 0; i < argc; i++) {
        struct cairn_buf input = {0};

        if (strcmp(argv[i], "-") != 0) {
            cairn_value_add_bytes(to, cairn_str(argv[i]));
            continue;
        }
        if (!read_stdin(&input)) {
            cairn_buf_done(&input);
            return false;
        }
        cairn_value_add_bytes(to, cairn_buf_bytes(&input));
        cairn_buf_done(&input);
    }
    return true;
}

/* A header's value must stay one. */
static bool key_is_plain(const char *key)
{
    for (; *key; key++)
        if (*key < ' ' || *key > '~')
            return false;
    return true;
}

static void print_result(const struct cairn_answer *answer, bool raw)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&answer->value));
    struct cairn_value v = cairn_value_read(&r);

    if (raw && v.kind == CAIRN_VALUE_BYTES)
        fwrite(v.bytes.data, 1, v.bytes.size, stdout);
    else
        cairn_print_value(stdout, cairn_buf_bytes(&answer->value));
}

/* Read-only calls are GETs, whose arguments are in the query. */
static void add_query_args(struct cairn_ask *ask, struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded);
    uint64_t count = cairn_value_read(&r).count;

    while (count-- > 0)
        cairn_ask_query(ask, "arg", cairn_value_read(&r).bytes);
}

static int run(int argc, char **argv)
{
    struct options options = {0};
    struct cairn_ask ask = {.method = "POST"};
    struct cairn_buf args = {0};
    struct cairn_answer answer;
    struct cairn_bytes type, id;
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_call, argc, argv, &options, &left, &status))
        return status;
    if (!cairn_object_name(argv[0], &type, &id))
        return CAIRN_EXIT_USAGE;
    if (options.key && (!*options.key || !key_is_plain(options.key)))
        return cairn_complain(CAIRN_EXIT_USAGE, "a key is made of printable ASCII characters");
    if (options.send && options.read_only)
        return cairn_complain(CAIRN_EXIT_USAGE, "a message is not read-only: nothing waits for its result");
    if (options.delay && !options.send)
        return cairn_complain(CAIRN_EXIT_USAGE, "--delay is for messages: add --send");
    if (!encode_args(left - 2, argv + 2, &args)) {
        cairn_buf_done(&args);
        return cairn_complain(CAIRN_EXIT_USAGE, "the standard input is longer than an argument may be");
    }
    cairn_ask_page(&ask, "objects");
    cairn_ask_path(&ask, type);
    cairn_ask_path(&ask, id);
    cairn_ask_path(&ask, cairn_str(argv[1]));
    if (options.send)
        cairn_ask_query(&ask, "send", cairn_str("1"));
    if (options.delay) {
        char delay[24];

        snprintf(delay, sizeof delay, "%llu", (unsigned long long)options.delay);
        cairn_ask_query(&ask, "delay", cairn_str(delay));
    }
    ask.key = options.key;
    ask.json = options.json;
    if (options.read_only) {
        ask.method = "GET";
        add_query_args(&ask, cairn_buf_bytes(&args));
    } else {
        ask.body_type = CAIRN_VALUE_TYPE;
        ask.body = cairn_buf_bytes(&args);
    }
    if (cairn_ask(&ask, &answer, &status))
        print_result(&answer, options.raw);
    cairn_answer_done(&answer);
    cairn_buf_done(&args);
    return status;
}

const struct cairn_command cairn_command_call = {
    .name = "call",
    .arguments = "TYPE/ID METHOD [ARG...]",
    .summary = "Calls a method of an object",
    .more = "An ARG of '-' is the standard input; behind '--' nothing is a flag.\n"
            "Exit status: 0 done, 1 the method failed, 2 wrong usage, 3 no node answers.\n\n"
            "  cairn call User/alice post 'hello, world'\n"
            "  cairn call --read-only User/bob timeline 10",
    .flags = flags,
    .arguments_min = 2,
    .arguments_max = -1,
    .run = run,
};
