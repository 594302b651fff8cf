/* durable_open.c - a node opens: what is open is counted, and gets the versions of types that it began with. */
#include "object/durable_head.h"
#include "object/durable_internal.h"
#include "object/worker.h"

/* The room that has modules. */
static const struct node_hooks *modules_of(const struct cairn_node *node)
{
    const struct node_hooks *hooks = node->hooks;

    while (!hooks->type_version)
        hooks++;
    return hooks;
}

/* The version that it began with, which may be another than the current one. */
static enum cairn_code take_version(struct cairn_worker *worker, const struct durable_head *head, struct cairn_err *err)
{
    const struct space *space = spaces_intern(&worker->node->spaces, head->space);
    struct type *current = type_find(worker, space, head->type);
    struct type *begun = durable_version(worker, space, head->type, head->module.data);
    struct type_entry *entry;
    struct type *type;
    enum cairn_code code;

    if (!begun && current && memcmp(current->module->hash, head->module.data, CAIRN_SHA256_BYTES) == 0)
        begun = current;
    if (begun) {
        durable_version_take(worker, begun);
        return CAIRN_OK;
    }
    code = modules_of(worker->node)
               ->type_version(worker->node, space, head->type, head->module.data, head->version, &entry, err);
    if (code != CAIRN_OK)
        return code;
    type = type_of_entry(worker, entry);
    type_entry_unref(entry);
    durable_version_take(worker, type);
    type_unref(type);
    return CAIRN_OK;
}

static enum cairn_code visit_open(struct shard *shard,
                                  enum cairn_code (*visit)(void *context, const struct durable_head *head,
                                                           struct cairn_err *err),
                                  void *context, struct cairn_err *err)
{
    struct overlay overlay = {0};
    struct tree tree = durable_tree(&overlay);
    struct tree_cursor cursor;
    enum cairn_code code = CAIRN_OK;

    overlay_reset(&overlay, shard->engine);
    for (bool there = tree_seek(&cursor, &tree, TREE_AT_OR_AFTER, cairn_bytes(NULL, 0)); there && code == CAIRN_OK;
         there = tree_next(&cursor)) {
        struct durable_head head;
        struct cairn_bytes bytes;

        if (tree_key(&cursor).size != 8 ||
            !durable_head_get(shard->engine, cairn_get_be64(tree_key(&cursor).data), &bytes) ||
            !durable_head_decode(bytes, &head))
            continue; /* it is told when it does not start */
        code = visit(context, &head, err);
    }
    if (code == CAIRN_OK && overlay.code != CAIRN_OK) {
        code = overlay.code;
        *err = overlay.err;
    }
    if (code == CAIRN_OK)
        code = cairn_engine_take_failure(shard->engine, err);
    overlay_done(&overlay);
    return code;
}

static enum cairn_code count_version(void *context, const struct durable_head *head, struct cairn_err *err)
{
    return take_version(context, head, err);
}

enum cairn_code durable_open(struct cairn_worker *worker, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    for (uint32_t i = 0; i < worker->node->shard_count && code == CAIRN_OK; i++)
        if (worker->shards[i].shard)
            code = visit_open(&worker->shards[i], count_version, worker, err);
    return code;
}

struct module_visit {
    void (*visit)(void *context, const uint8_t hash[CAIRN_SHA256_BYTES]);
    void *context;
};

static enum cairn_code visit_module(void *context, const struct durable_head *head, struct cairn_err *err)
{
    const struct module_visit *v = context;

    (void)err;
    v->visit(v->context, head->module.data);
    return CAIRN_OK;
}

enum cairn_code durable_visit_modules(struct cairn_node *node,
                                      void (*visit)(void *context, const uint8_t hash[CAIRN_SHA256_BYTES]),
                                      void *context, struct cairn_err *err)
{
    struct module_visit v = {visit, context};
    enum cairn_code code = CAIRN_OK;

    for (uint32_t i = 0; i < node->shard_count && code == CAIRN_OK; i++)
        code = visit_open(worker_shard(&node->workers[node_owner(node, i)], i), visit_module, &v, err);
    return code;
}
