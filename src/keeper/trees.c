#include "keeper/tree.h"

#include "keeper/answer.h"

uint32_t keeper_tree_shard(const struct cairn_node *node, const struct space *compartment)
{
    return node_shard_of(node, compartment, cairn_str(CAIRN_KEEPER_TREE_ID));
}

struct keeper_tree *keeper_tree_find(struct keeper_worker *kw, const struct space *compartment)
{
    struct keeper_item *item = keeper_map_find(&kw->trees, (uintptr_t)compartment);

    return item ? cairn_container(item, struct keeper_tree, item) : NULL;
}

struct keeper_tree *keeper_tree_get(struct keeper_worker *kw, struct space *compartment)
{
    struct keeper_tree *tree = keeper_tree_find(kw, compartment);

    if (tree)
        return tree;
    tree = cairn_alloc_zeroed(1, sizeof *tree);
    tree->kw = kw;
    tree->space = compartment;
    cairn_list_init(&tree->waiting);
    cairn_list_init(&tree->untold);
    cairn_list_init(&tree->lists);
    cairn_list_init(&tree->closing);
    keeper_map_add(&kw->trees, &tree->item, (uintptr_t)compartment);
    return tree;
}

struct shard *keeper_tree_at(const struct keeper_tree *tree)
{
    return worker_shard(tree->kw->worker, keeper_tree_shard(tree->kw->worker->node, tree->space));
}

void keeper_tree_look(struct keeper_tree *tree)
{
    overlay_reset(&tree->kw->overlay, keeper_tree_at(tree)->engine);
    tree->saw_untold = false;
}

struct object *keeper_tree_object(struct keeper_tree *tree)
{
    const struct type *type = type_find(tree->kw->worker, tree->space, cairn_str("Tree"));
    struct object *object;

    if (!type)
        return NULL;
    object = object_get(tree->kw->worker, keeper_tree_at(tree), type->number, cairn_str(CAIRN_KEEPER_TREE_ID));
    if (!object->loaded)
        object_load(object);
    return object;
}

void keeper_tree_count_read(struct keeper_tree *tree, const struct invocation *inv)
{
    struct space_use *use = space_use_of(&tree->space->meters[tree->kw->worker->index]);

    stat_add(&use->of[CAIRN_METERED_REQUESTS], 1);
    stat_add(&use->of[CAIRN_METERED_READS], 1);
    stat_add(&use->of[CAIRN_METERED_READ_BYTES], inv->result.size);
}

void keeper_tree_answer(struct keeper_tree *tree, struct invocation *inv)
{
    struct overlay *overlay = &tree->kw->overlay;
    struct object *object = keeper_tree_object(tree);

    if (overlay->code != CAIRN_OK) /* what was read counts for nothing */
        set_error(inv, overlay->code, overlay->err.text);
    overlay->code = CAIRN_OK;
    if (object)
        dependency_join(&inv->depends, object->last);
    invocation_end(tree->kw->worker, inv);
}

void keeper_tree_answer_error(struct keeper_tree *tree, struct invocation *inv, int32_t error)
{
    inv->result.size = 0;
    answer_begin(&inv->result, error, tree->zxid, tree->epoch);
    keeper_tree_answer(tree, inv);
}
