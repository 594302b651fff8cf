/* cairn keeper load: what a ZooKeeper's data folder has becomes the tree of a node, through its port.
 *
 * Nodes are created parents first, many in a multi.  One gets its ACL when all below it is there, as that may forbid
 * to create more.  Behind its children, creations that are taken back bring a node's count of creations to what it was,
 * so that the names of sequential nodes go on where they were.  Quotas come last, as a hard limit may be passed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/zk.h"
#include "cli/zk_folder.h"
#include "proto/zk_path.h"

enum {
    PARTS_MAX = 500, /* of a multi */
    BATCH_BYTES_MAX = 256 << 10 /* of a multi of more than one */,
    DATA_BYTES_MAX = 960 << 10,
    PATH_BYTES_MAX = 1000,  /* so that there is room for what counts up, too */
    COUNT_UP_MAX = 1000000, /* creations that are taken back, of a node: some seconds */
};

struct options {
    const char *zookeeper, *logs, *auth;
    uint64_t memory_mib;
};

static const struct cairn_flag flags[] = {
    CAIRN_ZK_FOLDER_FLAGS(struct options),
    {.name = "auth",
     .kind = CAIRN_FLAG_TEXT,
     .value = "USER:PASSWORD",
     .help = "as this user (scheme digest)",
     .offset = offsetof(struct options, auth)},
    {0},
};

/* A node below which more may come. */
struct open_node {
    const struct cairn_zk_node *node;
    uint32_t created; /* children */
};

struct load {
    struct cairn_zk zk;
    /* First what cannot be loaded is told, before anything is done; then nodes are; then quotas. */
    enum { PASS_COUNTS, PASS_NODES, PASS_QUOTAS } pass;
    bool failed;
    int status;
    struct cairn_buf items; /* of the multi that is being made */
    struct cairn_zk_request multi;
    struct cairn_bytes first; /* path of its first part */
    struct open_node *open;   /* from the root down to the last node */
    size_t depth, room;
    uint64_t nodes, ephemerals, quotas, house, short_counts;
};

static const uint8_t open_acl[] = "\0\0\0\1\0\0\0\x1f\0\0\0\5world\0\0\0\6anyone"; /* as on the wire */

static struct cairn_bytes open_acls(void)
{
    return cairn_bytes(open_acl, sizeof open_acl - 1);
}

/* --- requests --- */

static bool fail(struct load *load, const char *format, struct cairn_bytes path)
{
    load->failed = true;
    load->status = cairn_complain(CAIRN_EXIT_FAILED, format, (int)path.size, (const char *)path.data);
    return false;
}

static bool ask(struct load *load, const struct cairn_zk_request *request, struct cairn_zk_reply *ret)
{
    if (cairn_zk_ask(&load->zk, request, ret, &load->status))
        return true;
    load->failed = true;
    return false;
}

/* The part that has failed, if one has. */
static bool check_parts(struct load *load, const struct cairn_zk_reply *reply)
{
    struct cairn_bytes results = reply->multi.items, parts = load->multi.multi.items;
    struct cairn_zk_request part;
    struct cairn_zk_reply result;
    int32_t op;

    while (cairn_zk_result_next(&results, &op, &result) && cairn_zk_multi_next(&parts, &part))
        if (op == CAIRN_ZK_OP_ERROR && result.number != CAIRN_ZK_OK && result.number != CAIRN_ZK_EINCONSISTENT) {
            const char *name = cairn_zk_error_name(result.number);

            load->failed = true;
            load->status = cairn_complain(CAIRN_EXIT_FAILED, "%.*s: %s (%d)", (int)part.path.size,
                                          (const char *)part.path.data, name ? name : "error", result.number);
            return false;
        }
    return true;
}

static bool flush(struct load *load)
{
    struct cairn_zk_reply reply;
    bool good = true;

    if (load->multi.multi.count) {
        load->multi.op = CAIRN_ZK_OP_MULTI;
        load->multi.path = load->first;
        good = ask(load, &load->multi, &reply) && check_parts(load, &reply);
    }
    load->items.size = 0;
    load->multi = (struct cairn_zk_request){0};
    return good;
}

static bool add_part(struct load *load, const struct cairn_zk_request *part)
{
    size_t more = part->path.size + part->data.size + part->acl.items.size + 64;

    if (load->multi.multi.count &&
        (load->multi.multi.count == PARTS_MAX || load->items.size + more > BATCH_BYTES_MAX) && !flush(load))
        return false;
    if (!load->multi.multi.count)
        load->first = part->path;
    cairn_zk_multi_add(&load->items, &load->multi.multi, part);
    return true;
}

/* --- nodes --- */

static struct cairn_zk_vector vector_of(struct cairn_bytes acls)
{
    struct cairn_reader r = cairn_reader(acls);
    int32_t count = acls.size >= 4 ? (int32_t)__builtin_bswap32(cairn_read_u32(&r)) : 0;

    return (struct cairn_zk_vector){.count = count, .items = cairn_bytes(r.at, cairn_reader_left(&r))};
}

static bool is_ephemeral(const struct cairn_zk_node *node)
{
    return node->owner != 0 && node->owner != INT64_MIN && (uint64_t)node->owner >> 56 != 0xff;
}

/* Children are created below it, and so it gets its ACL only then. */
static bool is_parent(const struct cairn_zk_node *node)
{
    return node->children > 0 || node->creates > 0;
}

static bool create(struct load *load, const struct cairn_zk_node *node, struct cairn_bytes acls)
{
    struct cairn_zk_request part = {
        .op = CAIRN_ZK_OP_CREATE, .path = node->path, .data = node->data, .acl = vector_of(acls)};

    if (node->owner == INT64_MIN) {
        part.op = CAIRN_ZK_OP_CREATE_CONTAINER;
        part.flags = 4;
    } else if (node->owner) {
        part.op = CAIRN_ZK_OP_CREATE_TTL;
        part.flags = 5;
        part.ttl_ms = (int64_t)((uint64_t)node->owner & (UINT64_MAX >> 8));
    }
    return add_part(load, &part);
}

/* So many children have been created below it, and it had more. */
static bool count_up(struct load *load, const struct cairn_zk_node *node, uint32_t created)
{
    int64_t more = (int64_t)node->creates - created;
    struct cairn_buf path = {0};
    struct cairn_zk_request one = {.version = -1, .acl = vector_of(open_acls())};
    bool good = true;

    if (more > COUNT_UP_MAX) {
        load->short_counts++;
        fprintf(stderr,
                "cairn: %.*s: %" PRIi64 " children were created there, and a node here counts %" PRIu32
                ": sequential nodes may get names that were used\n",
                (int)node->path.size, (const char *)node->path.data, (int64_t)node->creates, created);
        return true;
    }
    cairn_buf_add(&path, node->path.data, node->path.size > 1 ? node->path.size : 0);
    cairn_buf_str(&path, "/cairn-counts");
    one.path = cairn_buf_bytes(&path);
    for (; more > 0 && good; more--) {
        one.op = CAIRN_ZK_OP_CREATE;
        good = add_part(load, &one);
        one.op = CAIRN_ZK_OP_DELETE;
        good = good && add_part(load, &one);
    }
    good = good && flush(load); /* its path goes */
    cairn_buf_done(&path);
    return good;
}

/* All below it is there. */
static bool leave(struct load *load, const struct open_node *open)
{
    const struct cairn_zk_node *node = open->node;
    struct cairn_zk_request request = {
        .op = CAIRN_ZK_OP_SET_ACL, .path = node->path, .acl = vector_of(node->acls), .version = -1};
    struct cairn_zk_reply reply;

    if (node->creates > 0 && (uint32_t)node->creates > open->created && !count_up(load, node, open->created))
        return false;
    if (cairn_bytes_equal(node->acls, open_acls()) || !is_parent(node))
        return true;
    return flush(load) && ask(load, &request, &reply);
}

static void enter(struct load *load, const struct cairn_zk_node *node)
{
    if (load->depth == load->room) {
        load->room = load->room ? 2 * load->room : 64;
        load->open = cairn_realloc(load->open, load->room * sizeof *load->open);
    }
    load->open[load->depth++] = (struct open_node){.node = node};
}

/* Those that the node is not below of are over; true if its parent is open. */
static bool leave_others(struct load *load, struct cairn_bytes path)
{
    while (load->depth && !cairn_zk_path_within(path, load->open[load->depth - 1].node->path))
        if (!leave(load, &load->open[--load->depth]))
            return false;
    return true;
}

static bool is_house(struct cairn_bytes path)
{
    return cairn_zk_path_within(path, cairn_str("/zookeeper"));
}

/* Below /zookeeper/quota: limits, what is used, and the nodes on the way to them. */
static bool is_quota(struct cairn_bytes path)
{
    struct cairn_bytes top = cairn_str("/zookeeper/quota");

    return cairn_zk_path_within(path, top) && path.size > top.size;
}

static bool check_node(struct load *load, const struct cairn_zk_node *node)
{
    if (is_ephemeral(node)) {
        load->ephemerals++;
        return true;
    }
    if (is_house(node->path) && !is_quota(node->path)) {
        load->house++;
        return true;
    }
    if (node->path.size > PATH_BYTES_MAX)
        return fail(load, "the path '%.*s' is too long: at most 1000 bytes; nothing was loaded", node->path);
    if (node->data.size > DATA_BYTES_MAX)
        return fail(load, "the data of '%.*s' has more than 960 KiB; nothing was loaded", node->path);
    load->quotas += is_quota(node->path);
    load->nodes += !is_quota(node->path);
    return true;
}

static bool take_node(void *context, const struct cairn_zk_node *node)
{
    struct load *load = context;
    struct cairn_zk_request request = {
        .op = CAIRN_ZK_OP_SET_DATA, .path = node->path, .data = node->data, .version = -1};
    struct cairn_zk_reply reply;

    if (load->pass == PASS_COUNTS)
        return check_node(load, node);
    if (load->pass == PASS_QUOTAS)
        return !is_quota(node->path) || is_ephemeral(node) || create(load, node, node->acls);
    if (is_ephemeral(node) || is_house(node->path))
        return true;
    if (!leave_others(load, node->path))
        return false;
    if (load->depth) {
        load->open[load->depth - 1].created++;
        if (!create(load, node, is_parent(node) ? open_acls() : node->acls))
            return false;
    } else if (node->data.size && !ask(load, &request, &reply)) {
        return false;
    }
    enter(load, node);
    return true;
}

/* It has nothing of its own. */
static bool check_empty(struct load *load)
{
    struct cairn_zk_request request = {.op = CAIRN_ZK_OP_GET_CHILDREN, .path = cairn_str("/")};
    struct cairn_zk_reply reply;
    struct cairn_bytes items, name;

    if (!ask(load, &request, &reply))
        return false;
    items = reply.names.items;
    while (cairn_zk_string_next(&items, &name))
        if (!cairn_bytes_equal(name, cairn_str("zookeeper")))
            return fail(load, "there is a node '/%.*s' already: load into a node that has none", name);
    return true;
}

static void load_all(struct load *load, struct cairn_zk_database *database)
{
    cairn_zk_database_nodes(database, take_node, load);
    load->pass = PASS_NODES;
    if (load->failed || !check_empty(load))
        return;
    cairn_zk_database_nodes(database, take_node, load);
    while (!load->failed && load->depth)
        leave(load, &load->open[--load->depth]);
    load->pass = PASS_QUOTAS;
    if (!load->failed && flush(load))
        cairn_zk_database_nodes(database, take_node, load);
    if (!load->failed)
        flush(load);
    if (load->failed)
        fputs("cairn: what was loaded until then stays\n", stderr);
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
    struct load load = {0};
    struct cairn_err err;
    int left;

    if (!cairn_flags_parse(&cairn_command_keeper_load, argc, argv, &options, &left, &load.status))
        return load.status;
    if (!options.zookeeper)
        return cairn_complain(CAIRN_EXIT_USAGE, "--zookeeper DIR says whose nodes: the dataDir of a ZooKeeper");
    folder.data = options.zookeeper;
    folder.logs = options.logs;
    folder.bytes_max = options.memory_mib << 20;
    if (cairn_zk_folder_read(&folder, &database, &err) != CAIRN_OK)
        return cairn_complain(CAIRN_EXIT_FAILED, "%s: %s", cairn_code_name(err.code), err.text);
    load.failed = !cairn_zk_open(&load.zk, options.auth, &load.status);
    if (!load.failed)
        load_all(&load, database);
    cairn_zk_close(&load.zk);
    cairn_zk_database_destroy(database);
    cairn_buf_done(&load.items);
    free(load.open);
    if (load.failed)
        return load.status;
    printf("%" PRIu64 " nodes were loaded, and %" PRIu64 " of quotas; %" PRIu64 " ephemeral nodes and %" PRIu64
           " of /zookeeper were not\n",
           load.nodes, load.quotas, load.ephemerals, load.house);
    return CAIRN_EXIT_OK;
}

const struct cairn_command cairn_command_keeper_load = {
    .name = "keeper load",
    .arguments = "",
    .summary = "Loads a ZooKeeper's data folder into the node behind CAIRN_ZK, whose tree must be empty",
    .more = "Paths, data, ACLs, containers, times to live and the counts that name sequential nodes are as\n"
            "they were, and quotas. Versions, times and zxids begin anew. Ephemeral nodes are not loaded.\n",
    .flags = flags,
    .run = run,
};
