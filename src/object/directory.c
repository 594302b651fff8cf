#include "object/directory.h"

#include "object/layout.h"
#include "object/tree.h"

struct root {
    struct tree tree;
    uint8_t prefix[1 + CAIRN_VARINT_BYTES_MAX];
};

static const struct tree *tree_of(struct root *root, struct overlay *overlay, uint32_t type)
{
    size_t n = 1;

    root->prefix[0] = KEY_DIRECTORY;
    n += cairn_put_varint(root->prefix + n, type);
    root->tree = (struct tree){.overlay = overlay, .prefix = cairn_bytes(root->prefix, n)};
    return &root->tree;
}

bool directory_add(struct overlay *overlay, uint32_t type, struct cairn_bytes id)
{
    struct root root;

    return tree_add(tree_of(&root, overlay, type), id);
}

bool directory_remove(struct overlay *overlay, uint32_t type, struct cairn_bytes id)
{
    struct root root;

    return tree_remove(tree_of(&root, overlay, type), id);
}

bool directory_empty(struct overlay *overlay, uint32_t type)
{
    struct root root;

    return tree_empty(tree_of(&root, overlay, type));
}

static bool begins_with(struct cairn_bytes id, struct cairn_bytes prefix)
{
    return id.size >= prefix.size && (prefix.size == 0 || memcmp(id.data, prefix.data, prefix.size) == 0);
}

void directory_scan(struct overlay *overlay, uint32_t type, struct cairn_bytes prefix, struct cairn_bytes after,
                    bool (*visit)(void *context, struct cairn_bytes id), void *context)
{
    bool from_prefix = cairn_bytes_compare(prefix, after) > 0;
    struct tree_cursor cursor;
    struct root root;
    bool there = tree_seek(&cursor, tree_of(&root, overlay, type), from_prefix ? TREE_AT_OR_AFTER : TREE_AFTER,
                           from_prefix ? prefix : after);

    /* Ids with the prefix stand together: the first without it is behind them. */
    while (there && begins_with(tree_key(&cursor), prefix) && visit(context, tree_key(&cursor)))
        there = tree_next(&cursor);
}
