/* Would catch: a traceparent that is read and does not come back as it was, or that has no trace or no parent; reading
 * behind its end. */
#include <stdint.h>
#include <stdlib.h>

#include "base/traceparent.h"

static void check(bool good)
{
    if (!good)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cairn_traceparent parent, again;
    char text[CAIRN_TRACEPARENT_BYTES + 1];

    if (!cairn_traceparent_read(cairn_bytes(data, size), &parent))
        return 0;
    check(cairn_job_id_is(parent.job) && parent.span);
    cairn_traceparent_write(&parent, text);
    check(strlen(text) == CAIRN_TRACEPARENT_BYTES && size >= CAIRN_TRACEPARENT_BYTES);
    check(memcmp(text + 3, data + 3, 50) == 0); /* of another version, with other flags, but the same ids */
    check(cairn_traceparent_read(cairn_str(text), &again));
    check(cairn_job_id_equal(parent.job, again.job) && parent.span == again.span && parent.sampled == again.sampled);
    return 0;
}
