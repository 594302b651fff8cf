#include "object/tap.h"

#include "object/commit.h"
#include "object/type.h"
#include "object/worker.h"

const struct object_tap *tap_of(const struct cairn_node *node, const struct type_entry *entry)
{
    if (!entry->space->parent)
        return NULL;
    for (uint32_t i = 0; i < node->hook_count; i++)
        for (uint32_t k = 0; k < node->hooks[i].tap_count; k++)
            if (cairn_bytes_equal(cairn_str(node->hooks[i].taps[k].name), entry->name))
                return node->hooks[i].taps[k].tap;
    return NULL;
}

void tap_committed(struct commit *commit)
{
    const struct invocation *inv = commit->inv;
    const struct object_tap *tap = inv->type->tap;

    if (commit->incarnation && commit->incarnation != inv->object->header.incarnation)
        tap->replaced(inv->worker, inv->object);
    else
        tap->committed(inv->worker, inv->object, inv, commit->overlay);
}
