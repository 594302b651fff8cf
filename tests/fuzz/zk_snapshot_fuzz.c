/* Would catch: a ZooKeeper's snapshot or log that is read beyond its window, or never ends; items that differ when they
 * come in two portions; nodes of a database that have more children than there are.  The first byte chooses the kind,
 * the second where the input is cut in two. */
#include <stdint.h>
#include <stdlib.h>

#include "proto/zk_database.h"

enum { MEMORY = 1 << 20 };

static void check(bool good)
{
    if (!good)
        abort();
}

struct sum {
    uint64_t nodes, children;
};

static bool count(void *context, const struct cairn_zk_node *node)
{
    struct sum *sum = context;

    check(node->path.size && node->path.data[0] == '/');
    sum->nodes++;
    sum->children += node->children;
    return true;
}

/* In portions of which the first has `cut` bytes; how many items. */
static uint64_t feed(enum cairn_zk_file_kind kind, struct cairn_bytes bytes, size_t cut,
                     enum cairn_zk_file_step *ret_step)
{
    struct cairn_zk_database *database = cairn_zk_database_create(MEMORY);
    enum cairn_zk_file_step step = CAIRN_ZK_FILE_MORE;
    size_t done = 0, there = cut;
    struct cairn_zk_file file;
    struct sum sum = {0};
    uint64_t items = 0;

    cairn_zk_file_begin(&file, kind);
    for (;;) {
        struct cairn_zk_file_item item;
        struct cairn_err err;
        size_t used;

        step = cairn_zk_file_next(&file, cairn_bytes(bytes.data + done, there - done), &used, &item, &err);
        check(used <= there - done);
        if (step == CAIRN_ZK_FILE_MORE && there == bytes.size)
            break;
        if (step == CAIRN_ZK_FILE_MORE) {
            done += used;
            there = bytes.size;
            continue;
        }
        if (step != CAIRN_ZK_FILE_ITEM)
            break;
        items++;
        if (item.kind == CAIRN_ZK_ITEM_TXN)
            cairn_zk_database_apply(database, &item, &err);
        else
            cairn_zk_database_add(database, &item, &err);
        done += used;
    }
    cairn_zk_database_nodes(database, count, &sum);
    check(sum.nodes == cairn_zk_database_node_count(database));
    check(sum.children <= sum.nodes);
    cairn_zk_database_destroy(database);
    *ret_step = step;
    return items;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum cairn_zk_file_kind kind;
    enum cairn_zk_file_step one, two;
    struct cairn_bytes bytes;

    if (size < 2)
        return 0;
    kind = data[0] % 2 ? CAIRN_ZK_LOG : CAIRN_ZK_SNAPSHOT;
    bytes = cairn_bytes(data + 2, size - 2);
    check(feed(kind, bytes, bytes.size, &one) == feed(kind, bytes, data[1] * bytes.size / 256, &two) && one == two);
    return 0;
}
