/* posted_fuzz.c - a message as it is kept, whatever it says: read, or refused.  What was read is written as it was. */
#include <stdlib.h>

#include "object/posted.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cairn_buf again = {0};
    struct posted posted, same;
    uint8_t name[POSTED_NAME_BYTES_MAX];

    if (!posted_decode(cairn_bytes(data, size), &posted))
        return 0;
    if (posted.state > POSTED_DEAD || posted_name(&posted, name).size > sizeof name)
        abort();
    posted_encode(&posted, &again);
    if (!posted_decode(cairn_buf_bytes(&again), &same) || same.number != posted.number ||
        same.sent_ms != posted.sent_ms || same.due_ms != posted.due_ms || same.attempts != posted.attempts ||
        !cairn_bytes_equal(same.id, posted.id) || !cairn_bytes_equal(same.from_id, posted.from_id) ||
        !cairn_bytes_equal(same.text, posted.text) || !cairn_bytes_equal(same.args, posted.args))
        abort();
    cairn_buf_done(&again);
    return 0;
}
