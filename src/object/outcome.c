#include "object/outcome.h"

#include <inttypes.h>
#include <stdio.h>

#include "object/layout.h"

bool outcome_get(struct cairn_view *view, uint64_t number, struct cairn_bytes *ret_outcome)
{
    uint8_t to[9];
    struct cairn_bytes key = cairn_bytes(to, key_numbered(to, KEY_OUTCOME, number));

    return view->ops->get(view, key, cairn_hash(key), ret_outcome);
}

void outcome_forget(struct overlay *overlay, struct outcomes *outcomes, uint64_t number)
{
    uint8_t to[9];
    struct cairn_bytes key = cairn_bytes(to, key_numbered(to, KEY_OUTCOME_SIZE, number)), value;
    struct cairn_reader r;

    if (!overlay_get(overlay, key, &value))
        return;
    r = cairn_reader(value);
    outcomes->bytes -= cairn_read_varint(&r);
    overlay_remove(overlay, key);
    overlay_remove(overlay, cairn_bytes(to, key_numbered(to, KEY_OUTCOME, number)));
}

bool outcome_keep(struct overlay *overlay, struct outcomes *outcomes, uint64_t bytes_max, struct cairn_bytes outcome,
                  uint64_t *ret_number, uint64_t *dropped)
{
    uint8_t to[9], size[CAIRN_VARINT_BYTES_MAX];

    if (outcome.size > bytes_max)
        return false;
    for (int i = 0; i < OUTCOME_DROPS_MAX && outcomes->first < outcomes->end; i++) {
        uint64_t before = outcomes->bytes;

        if (before + outcome.size <= bytes_max)
            break;
        outcome_forget(overlay, outcomes, outcomes->first);
        if (overlay->code != CAIRN_OK) { /* it is there still, and for another time */
            overlay->code = CAIRN_OK;
            break;
        }
        outcomes->first++;
        if (outcomes->bytes != before)
            ++*dropped;
    }
    if (outcomes->bytes + outcome.size > bytes_max)
        return false;
    *ret_number = outcomes->end++;
    overlay_put(overlay, cairn_bytes(to, key_numbered(to, KEY_OUTCOME_SIZE, *ret_number)),
                cairn_bytes(size, cairn_put_varint(size, outcome.size)));
    overlay_put(overlay, cairn_bytes(to, key_numbered(to, KEY_OUTCOME, *ret_number)), outcome);
    outcomes->bytes += outcome.size;
    return true;
}

void outcome_gone_text(uint64_t bytes, char to[OUTCOME_GONE_TEXT_BYTES])
{
    snprintf(to, OUTCOME_GONE_TEXT_BYTES,
             "the first request with this key took effect and is not run again; its result of %" PRIu64
             " bytes is not kept any more",
             bytes);
}
