/* simstreams.h - a simulated log of another kind: a stream for each shard, on a server of their own.
 *
 * As with NATS JetStream, say: a record is sent when it is appended, and durable once the server has told so; each
 * stream has its own order, its own positions (the first record is at 1) and its own end.  The server knows no crashes
 * of the node: when the node goes, some of what it has sent and not been told of may have come in, in order, or none.
 * Now and then the server has no room for a while, or fails for good, as the log's interface has it.
 * Everything is drawn from one seed.  Threads: one. */
#ifndef CAIRN_TESTS_SUPPORT_SIMSTREAMS_H
#define CAIRN_TESTS_SUPPORT_SIMSTREAMS_H

#include "base/random.h"
#include "log/log.h"

enum { SIMSTREAMS_MAX = 64 };

struct simstream_record {
    uint64_t position, end;
    struct cairn_buf body;
};

struct simstream {
    struct simstream_record *records; /* ascending; what was trimmed is gone */
    size_t count, room;
    uint64_t end, trimmed, epoch, time_ms;
    struct cairn_log *log; /* of the node that has it open */
};

struct simstreams {
    struct cairn_log_opener opener; /* first */
    struct cairn_random random;
    struct simstream streams[SIMSTREAMS_MAX];
    bool lying;       /* what it has told to be durable is lost with the node all the same: checks must fail then */
    uint64_t fail_in; /* appends until one fails, and its stream with it; 0: none does */
};

void simstreams_init(struct simstreams *streams, uint64_t seed);
void simstreams_done(struct simstreams *streams);

#endif
