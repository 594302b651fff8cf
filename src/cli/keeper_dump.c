/* cairn keeper dump: nodes and sessions of a ZooKeeper's data folder, as lines of JSON (docs/formats/zk-dump.md). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/zk_folder.h"
#include "proto/json.h"
#include "proto/zk.h"

struct options {
    const char *zookeeper, *logs;
    uint64_t memory_mib;
};

static const struct cairn_flag flags[] = {
    CAIRN_ZK_FOLDER_FLAGS(struct options),
    {0},
};

struct dump {
    struct cairn_buf line;
    uint64_t sessions;
};

static void put_line(struct dump *dump)
{
    cairn_buf_u8(&dump->line, '\n');
    fwrite(dump->line.data, 1, dump->line.size, stdout);
    dump->line.size = 0;
}

static void add_acls(struct cairn_buf *to, struct cairn_bytes acls)
{
    struct cairn_bytes items = acls.size > 4 ? cairn_bytes(acls.data + 4, acls.size - 4) : (struct cairn_bytes){0};
    struct cairn_zk_acl acl;

    cairn_buf_str(to, ",\"acl\":[");
    for (bool first = true; cairn_zk_acl_next(&items, &acl); first = false) {
        cairn_buf_printf(to, "%s{\"perms\":%" PRIi32 ",\"scheme\":", first ? "" : ",", acl.perms);
        cairn_json_bytes(to, acl.scheme);
        cairn_buf_str(to, ",\"id\":");
        cairn_json_bytes(to, acl.id);
        cairn_buf_u8(to, '}');
    }
    cairn_buf_u8(to, ']');
}

static bool put_node(void *context, const struct cairn_zk_node *node)
{
    struct dump *dump = context;
    struct cairn_buf *to = &dump->line;

    cairn_buf_str(to, "{\"path\":");
    cairn_json_bytes(to, node->path);
    cairn_buf_str(to, ",\"data\":");
    if (node->data.data)
        cairn_json_bytes(to, node->data);
    else
        cairn_buf_str(to, "null");
    add_acls(to, node->acls);
    cairn_buf_printf(to,
                     ",\"czxid\":\"0x%" PRIx64 "\",\"mzxid\":\"0x%" PRIx64 "\",\"pzxid\":\"0x%" PRIx64
                     "\",\"ctime\":%" PRIi64 ",\"mtime\":%" PRIi64 ",\"version\":%" PRIi32 ",\"creates\":%" PRIi32
                     ",\"aversion\":%" PRIi32 ",\"owner\":\"0x%" PRIx64 "\",\"children\":%" PRIu32 "}",
                     (uint64_t)node->czxid, (uint64_t)node->mzxid, (uint64_t)node->pzxid, node->ctime, node->mtime,
                     node->version, node->creates, node->aversion, (uint64_t)node->owner, node->children);
    put_line(dump);
    return !ferror(stdout);
}

static void put_session(void *context, const struct cairn_zk_session *session)
{
    struct dump *dump = context;

    cairn_buf_printf(&dump->line,
                     "{\"session\":\"0x%" PRIx64 "\",\"timeout_ms\":%" PRIi32 ",\"ephemerals\":%" PRIu64 "}",
                     (uint64_t)session->session, session->timeout_ms, session->ephemerals);
    dump->sessions++;
    put_line(dump);
}

static void warn(void *context, const char *text)
{
    (void)context;
    fprintf(stderr, "cairn: %s; the snapshot before it is taken\n", text);
}

static int run(int argc, char **argv)
{
    struct options options = {.memory_mib = CAIRN_ZK_FOLDER_MEMORY_MIB};
    struct cairn_zk_folder folder = {.warn = warn};
    struct cairn_zk_database *database;
    struct dump dump = {0};
    struct cairn_err err;
    int status, left;

    if (!cairn_flags_parse(&cairn_command_keeper_dump, argc, argv, &options, &left, &status))
        return status;
    if (!options.zookeeper)
        return cairn_complain(CAIRN_EXIT_USAGE, "--zookeeper DIR says whose nodes: the dataDir of a ZooKeeper");
    folder.data = options.zookeeper;
    folder.logs = options.logs;
    folder.bytes_max = options.memory_mib << 20;
    if (cairn_zk_folder_read(&folder, &database, &err) != CAIRN_OK)
        return cairn_complain(CAIRN_EXIT_FAILED, "%s: %s", cairn_code_name(err.code), err.text);
    cairn_buf_printf(&dump.line, "{\"format\":\"cairn zookeeper dump 1\",\"zxid\":\"0x%" PRIx64 "\"}",
                     cairn_zk_database_zxid(database));
    put_line(&dump);
    cairn_zk_database_sessions(database, put_session, &dump);
    cairn_zk_database_nodes(database, put_node, &dump);
    cairn_buf_printf(&dump.line, "{\"nodes\":%" PRIu64 ",\"sessions\":%" PRIu64 "}",
                     cairn_zk_database_node_count(database), dump.sessions);
    put_line(&dump);
    cairn_zk_database_destroy(database);
    cairn_buf_done(&dump.line);
    if (fflush(stdout) != 0 || ferror(stdout))
        return cairn_complain(CAIRN_EXIT_FAILED, "the output could not be written as a whole");
    return CAIRN_EXIT_OK;
}

const struct cairn_command cairn_command_keeper_dump = {
    .name = "keeper dump",
    .arguments = "",
    .summary = "Prints what a ZooKeeper's data folder has, as lines of JSON",
    .more = "It reads the newest snapshot that is whole and the logs behind it, as ZooKeeper does when it\n"
            "starts, of ZooKeeper 3.4 to 3.9. The last line counts nodes and sessions: without it the output\n"
            "is not whole.\n",
    .flags = flags,
    .run = run,
};
