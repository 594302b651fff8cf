/* cairn keeper: the nodes of ZooKeeper's service, over its own port; its sessions, over HTTP. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "cli/zk.h"
#include "proto/json.h"
#include "proto/zk_path.h"

struct options {
    const char *auth;
    bool json, recursive;
};

#define FLAG_AUTH                                                                                                  \
    {                                                                                                              \
        .name = "auth", .kind = CAIRN_FLAG_TEXT, .value = "USER:PASSWORD", .help = "as this user (scheme digest)", \
        .offset = offsetof(struct options, auth)                                                                   \
    }

static const struct cairn_flag flags[] = {FLAG_AUTH, CAIRN_FLAG_JSON(struct options), {0}};

static const struct cairn_flag watch_flags[] = {{.name = "recursive",
                                                 .letter = 'r',
                                                 .kind = CAIRN_FLAG_SWITCH,
                                                 .help = "and all below it",
                                                 .offset = offsetof(struct options, recursive)},
                                                FLAG_AUTH,
                                                CAIRN_FLAG_JSON(struct options),
                                                {0}};

static const struct cairn_flag sessions_flags[] = {CAIRN_FLAG_JSON(struct options), CAIRN_FLAG_NAMESPACE, {0}};

static void print_line(struct cairn_buf *text)
{
    cairn_buf_u8(text, '\n');
    fwrite(text->data, 1, text->size, stdout);
    text->size = 0;
}

/* --- one request on one path --- */

static int with_path(const struct cairn_command *command, int argc, char **argv, int32_t op,
                     void (*print)(const struct cairn_zk_reply *reply, bool json))
{
    struct options options = {0};
    struct cairn_zk_request request = {.op = op, .path = cairn_str("/")};
    struct cairn_zk_reply reply;
    struct cairn_zk zk;
    int status = CAIRN_EXIT_OK, left;
    const char *fault;

    if (!cairn_flags_parse(command, argc, argv, &options, &left, &status))
        return status;
    if (left > 0)
        request.path = cairn_str(argv[0]);
    fault = cairn_zk_path_fault(request.path, false);
    if (fault)
        return cairn_complain(CAIRN_EXIT_USAGE, "'%s' is no path: %s", argv[0], fault);
    if (cairn_zk_open(&zk, options.auth, &status) && cairn_zk_ask(&zk, &request, &reply, &status))
        print(&reply, options.json);
    cairn_zk_close(&zk);
    return status;
}

static void print_names(const struct cairn_zk_reply *reply, bool json)
{
    struct cairn_bytes items = reply->names.items, name;
    struct cairn_buf text = {0};

    if (json)
        cairn_buf_u8(&text, '[');
    for (int32_t i = 0; cairn_zk_string_next(&items, &name); i++) {
        if (json) {
            cairn_buf_str(&text, i ? "," : "");
            cairn_json_text(&text, name);
        } else {
            cairn_inline_text(&text, name);
            print_line(&text);
        }
    }
    if (json) {
        cairn_buf_u8(&text, ']');
        print_line(&text);
    }
    cairn_buf_done(&text);
}

static int run_ls(int argc, char **argv)
{
    return with_path(&cairn_command_keeper_ls, argc, argv, CAIRN_ZK_OP_GET_CHILDREN, print_names);
}

static void add_stat(struct cairn_buf *to, const struct cairn_zk_stat *stat)
{
    cairn_buf_printf(to,
                     "\"czxid\":\"0x%" PRIx64 "\",\"mzxid\":\"0x%" PRIx64 "\",\"pzxid\":\"0x%" PRIx64
                     "\",\"created_ms\":%" PRId64 ",\"modified_ms\":%" PRId64
                     ",\"version\":%d,\"children_version\":%d,\"acl_version\":%d,\"owner\":\"0x%" PRIx64
                     "\",\"bytes\":%d,\"children\":%d",
                     stat->czxid, stat->mzxid, stat->pzxid, stat->ctime, stat->mtime, stat->version, stat->cversion,
                     stat->aversion, stat->ephemeral_owner, stat->data_length, stat->num_children);
}

static void print_time(const char *name, int64_t ms)
{
    struct cairn_buf text = {0};

    cairn_inline_time(&text, ms);
    printf("%-16s  %.*s\n", name, (int)text.size, (const char *)text.data);
    cairn_buf_done(&text);
}

static void print_stat(const struct cairn_zk_reply *reply, bool json)
{
    const struct cairn_zk_stat *stat = &reply->stat;
    struct cairn_buf text = {0};

    if (json) {
        cairn_buf_u8(&text, '{');
        add_stat(&text, stat);
        cairn_buf_u8(&text, '}');
        print_line(&text);
        cairn_buf_done(&text);
        return;
    }
    print_time("created", stat->ctime);
    print_time("modified", stat->mtime);
    printf("%-16s  %d\n%-16s  %d\n%-16s  %d\n", "bytes", stat->data_length, "children", stat->num_children, "version",
           stat->version);
    printf("%-16s  %d\n%-16s  %d\n", "children version", stat->cversion, "ACL version", stat->aversion);
    printf("%-16s  0x%" PRIx64 "\n%-16s  0x%" PRIx64 "\n%-16s  0x%" PRIx64 "\n", "czxid", stat->czxid, "mzxid",
           stat->mzxid, "pzxid", stat->pzxid);
    if (stat->ephemeral_owner)
        printf("%-16s  0x%" PRIx64 "\n", "owner", stat->ephemeral_owner);
}

static int run_stat(int argc, char **argv)
{
    return with_path(&cairn_command_keeper_stat, argc, argv, CAIRN_ZK_OP_EXISTS, print_stat);
}

static void print_data(const struct cairn_zk_reply *reply, bool json)
{
    struct cairn_buf text = {0};

    if (!json) { /* as they are, like any file */
        fwrite(reply->data.data, 1, reply->data.size, stdout);
        return;
    }
    cairn_buf_str(&text, "{\"data\":");
    if (reply->data.data)
        cairn_json_bytes(&text, reply->data);
    else
        cairn_buf_str(&text, "null");
    cairn_buf_u8(&text, ',');
    add_stat(&text, &reply->stat);
    cairn_buf_u8(&text, '}');
    print_line(&text);
    cairn_buf_done(&text);
}

static int run_get(int argc, char **argv)
{
    return with_path(&cairn_command_keeper_get, argc, argv, CAIRN_ZK_OP_GET_DATA, print_data);
}

/* --- watch --- */

static void print_event(const struct cairn_zk_event *event, bool json)
{
    static const char *const names[] = {"?", "created", "deleted", "changed", "children"};
    const char *name = names[event->type >= 1 && event->type <= 4 ? event->type : 0];
    struct cairn_buf text = {0};

    if (json) {
        cairn_buf_printf(&text, "{\"event\":\"%s\",\"path\":", name);
        cairn_json_text(&text, event->path);
        cairn_buf_u8(&text, '}');
    } else {
        cairn_buf_printf(&text, "%-8s  ", name);
        cairn_inline_text(&text, event->path);
    }
    print_line(&text);
    fflush(stdout);
    cairn_buf_done(&text);
}

/* Until it is interrupted, or the node ends. */
static int run_watch(int argc, char **argv)
{
    struct options options = {0};
    struct cairn_zk_request request = {.op = CAIRN_ZK_OP_ADD_WATCH};
    struct cairn_zk_reply reply;
    struct cairn_zk_event event;
    struct cairn_zk zk;
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_keeper_watch, argc, argv, &options, &left, &status))
        return status;
    request.path = cairn_str(argv[0]);
    request.kind = options.recursive ? CAIRN_ZK_MODE_RECURSIVE : CAIRN_ZK_MODE_PERSISTENT;
    if (cairn_zk_open(&zk, options.auth, &status) && cairn_zk_ask(&zk, &request, &reply, &status))
        while (cairn_zk_event(&zk, &event, &status))
            print_event(&event, options.json);
    cairn_zk_close(&zk);
    return status;
}

/* --- sessions --- */

/* Items [session, timeout in ms, paths of ephemerals]. */
static void print_sessions(struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded);
    uint64_t count = cairn_value_read(&r).count;
    struct cairn_table table = {.columns = 3};
    struct cairn_buf text = {0};

    cairn_table_cell(&table, cairn_str("SESSION"));
    cairn_table_cell(&table, cairn_str("TIMEOUT"));
    cairn_table_cell(&table, cairn_str("EPHEMERALS"));
    for (uint64_t i = 0; i < count && !r.bad; i++) {
        uint64_t paths;

        cairn_value_read(&r);
        cairn_table_cell(&table, cairn_value_read(&r).bytes);
        cairn_buf_printf(&text, "%" PRId64 " ms", cairn_value_read(&r).integer);
        cairn_table_cell(&table, cairn_buf_bytes(&text));
        text.size = 0;
        paths = cairn_value_read(&r).count;
        for (uint64_t p = 0; p < paths; p++) {
            cairn_buf_str(&text, p ? " " : "");
            cairn_inline_text(&text, cairn_value_read(&r).bytes);
        }
        cairn_table_cell(&table, text.size ? cairn_buf_bytes(&text) : cairn_str("-"));
        text.size = 0;
    }
    cairn_table_print(&table, stdout);
    cairn_buf_done(&table.text);
    cairn_buf_done(&text);
}

static int run_sessions(int argc, char **argv)
{
    struct options options = {0};
    struct cairn_ask ask = {.method = "GET"};
    struct cairn_answer answer;
    int status = CAIRN_EXIT_OK, left;

    if (!cairn_flags_parse(&cairn_command_keeper_sessions, argc, argv, &options, &left, &status))
        return status;
    ask.json = options.json;
    cairn_ask_page(&ask, "keeper/sessions");
    if (cairn_ask(&ask, &answer, &status))
        print_sessions(cairn_buf_bytes(&answer.value));
    cairn_answer_done(&answer);
    return status;
}

/* --- the commands --- */

const struct cairn_command cairn_command_keeper_ls = {
    .name = "keeper ls",
    .arguments = "[PATH]",
    .summary = "Lists the children of a node, of the root without PATH",
    .flags = flags,
    .arguments_max = 1,
    .run = run_ls,
};

const struct cairn_command cairn_command_keeper_stat = {
    .name = "keeper stat",
    .arguments = "PATH",
    .summary = "Shows what is known of a node",
    .flags = flags,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_stat,
};

const struct cairn_command cairn_command_keeper_get = {
    .name = "keeper get",
    .arguments = "PATH",
    .summary = "Prints the data of a node, as it is",
    .flags = flags,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_get,
};

const struct cairn_command cairn_command_keeper_watch = {
    .name = "keeper watch",
    .arguments = "PATH",
    .summary = "Prints what changes at a node, until it is interrupted",
    .flags = watch_flags,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_watch,
};

const struct cairn_command cairn_command_keeper_sessions = {
    .name = "keeper sessions",
    .arguments = "",
    .summary = "Lists sessions and their ephemeral nodes",
    .flags = sessions_flags,
    .run = run_sessions,
};

static const struct cairn_command *const subcommands[] = {
    &cairn_command_keeper_ls,       &cairn_command_keeper_stat, &cairn_command_keeper_get,  &cairn_command_keeper_watch,
    &cairn_command_keeper_sessions, &cairn_command_keeper_dump, &cairn_command_keeper_load, NULL,
};

const struct cairn_command cairn_command_keeper = {
    .name = "keeper",
    .arguments = "ls|stat|get|watch|sessions|dump|load ...",
    .summary = "Shows what ZooKeeper's service of a node holds",
    .subcommands = subcommands,
};
