/* exporter.h - spans of traced jobs leave the node: to a collector of OpenTelemetry, or to a file.
 *
 *   otlp://HOST:PORT[/PATH]   POST over HTTP/1.1, JSON (otlp.h); the path is /v1/traces unless it is given
 *   file:PATH                 the same JSON, a line for each request
 *
 * Giving spans never blocks: they wait in a queue of QUEUE_BYTES for a thread that sends them, at least once a second.
 * What does not fit is dropped; what cannot be sent is not tried again, and the thread pauses, for longer each time.
 * All of it is counted and told as events.  A line that could not be written whole is taken back.
 * Threads: any may give and ask for counts and a reopening; open and close belong to one.  Layer: server. */
#ifndef CAIRN_SERVER_EXPORTER_H
#define CAIRN_SERVER_EXPORTER_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/event.h"
#include "io/clock.h"

struct cairn_exporter;

struct cairn_exporter_counts {
    uint64_t exported;
    uint64_t failed;  /* the collector did not take them, or the file could not be written */
    uint64_t dropped; /* the queue was full */
};

/* CAIRN_EINVAL: `target` is none of the two. */
enum cairn_code cairn_exporter_open(const char *target, struct cairn_clock *clock, const struct cairn_events *events,
                                    struct cairn_exporter **ret_exporter, struct cairn_err *err);
/* As cairn_trace_options.take, with the exporter as its context. */
void cairn_exporter_give(void *exporter, struct cairn_bytes spans);
/* The file has been moved away: the next line goes to a new one of that name. */
void cairn_exporter_reopen(struct cairn_exporter *exporter);
void cairn_exporter_counts(struct cairn_exporter *exporter, struct cairn_exporter_counts *ret_counts);
/* Sends what waits, for some seconds at most.  Returns NULL; accepts NULL. */
struct cairn_exporter *cairn_exporter_close(struct cairn_exporter *exporter);

#endif
