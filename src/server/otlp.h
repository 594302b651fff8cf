/* otlp.h - spans as the JSON of OpenTelemetry's protocol: an ExportTraceServiceRequest of OTLP 1.x, in proto3's JSON
 * mapping.
 *
 * An invocation is a span with attributes, and each of its phases a span below it: so every viewer draws them.
 * Threads: any.  Layer: server (private). */
#ifndef CAIRN_SERVER_OTLP_H
#define CAIRN_SERVER_OTLP_H

#include "base/bytes.h"

/* Spans of object/span.h, u32 size and encoded span each: takes from the front of *spans until the request has about
 * `bytes`, and adds it, without a line end.  How many spans it took; 0: there are none. */
uint64_t cairn_otlp_add(struct cairn_buf *to, struct cairn_reader *spans, size_t bytes);

#endif
