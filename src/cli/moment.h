/* moment.h - a moment as a user writes it, strictly read (docs/reference/cli.md, Moments).
 *
 * What could mean two moments, or none, is refused with what to write instead.  A moment without a fraction of a second
 * is the beginning of that second.  Layer: cli. */
#ifndef CAIRN_CLI_MOMENT_H
#define CAIRN_CLI_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

enum { CAIRN_MOMENT_TEXT_BYTES = 32, CAIRN_MOMENT_COMPLAINT_BYTES = 256 };

/* RFC 3339 (2026-07-01T12:00:00.5+02:00), the same without an offset and with a blank for the T in this machine's time,
 * or milliseconds since 1970.  On failure the complaint says why; *ret_ms is set on success only. */
bool cairn_moment_parse(const char *text, uint64_t *ret_ms, char complaint[CAIRN_MOMENT_COMPLAINT_BYTES]);
/* "2026-07-01T10:00:00.500Z"; returns `to`. */
const char *cairn_moment_text(uint64_t ms, char to[CAIRN_MOMENT_TEXT_BYTES]);

#endif
