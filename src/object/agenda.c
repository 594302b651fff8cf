#include "object/agenda.h"

#include <assert.h>

#include "object/layout.h"

static const uint64_t due_ms_max = ((uint64_t)1 << 48) - 1;

const struct tree *agenda_tree(struct agenda *agenda, struct overlay *overlay)
{
    agenda->prefix = KEY_AGENDA;
    agenda->tree = (struct tree){.overlay = overlay, .prefix = cairn_bytes(&agenda->prefix, 1)};
    return &agenda->tree;
}

size_t agenda_key(uint8_t to[AGENDA_KEY_BYTES_MAX], uint64_t due_ms, enum agenda_kind kind, struct cairn_bytes own)
{
    uint8_t due[8];

    assert(own.size <= AGENDA_KEY_BYTES_MAX - AGENDA_DUE_BYTES - 1);
    cairn_put_be64(due, due_ms < due_ms_max ? due_ms : due_ms_max);
    memcpy(to, due + 2, AGENDA_DUE_BYTES);
    to[AGENDA_DUE_BYTES] = (uint8_t)kind;
    memcpy(to + AGENDA_DUE_BYTES + 1, own.data, own.size);
    return AGENDA_DUE_BYTES + 1 + own.size;
}

uint64_t agenda_due_ms(struct cairn_bytes key)
{
    uint8_t due[8] = {0};

    memcpy(due + 2, key.data, key.size < AGENDA_DUE_BYTES ? key.size : AGENDA_DUE_BYTES);
    return cairn_get_be64(due);
}

uint64_t agenda_first_ms(struct overlay *overlay)
{
    struct agenda agenda;
    struct tree_cursor cursor;

    if (!tree_seek(&cursor, agenda_tree(&agenda, overlay), TREE_AT_OR_AFTER, cairn_bytes(NULL, 0)))
        return UINT64_MAX;
    return agenda_due_ms(tree_key(&cursor));
}
