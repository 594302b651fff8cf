/* wal_format.h - the bytes of the embedded log: segment headers, records, the mark's slots.
 * Pure: bytes in, structs out.  Private to log/; the page is docs/formats/log.md. */
#ifndef CAIRN_LOG_WAL_FORMAT_H
#define CAIRN_LOG_WAL_FORMAT_H

#include "base/bytes.h"
#include "base/err.h"

enum {
    WAL_VERSION = 1,
    WAL_HEAD_BYTES = 512, /* a segment file's header; positions count the bytes behind it */
    WAL_RECORD_HEAD_BYTES = 32,
    WAL_RECORD_EXTRA_BYTES = 40, /* at most this much more than its body: header, padding to 8 */
    WAL_MARK_SLOT_BYTES = 512,
    WAL_MARK_SLOT_STEP = 4096, /* where the second slot begins */
    WAL_MARK_BYTES = 2 * WAL_MARK_SLOT_STEP,
};

#define WAL_POSITION_FIRST UINT64_C(4096)      /* of a new log; 0 means before everything */
#define WAL_POSITION_MAX   (UINT64_C(1) << 62) /* far beyond any life; keeps sums from wrapping */
#define WAL_BODY_BYTES_MAX ((UINT32_C(1) << 31) - 1)
#define WAL_SEAL           (UINT32_C(1) << 31) /* in the length: the rest of the segment is unused */

/* The head of a segment file. */
struct wal_head {
    uint64_t epoch, random;
    uint64_t first;        /* position of the byte behind the header */
    uint64_t bytes;        /* of the file, header included */
    uint64_t previous_end; /* the log's records before this segment end here; what lies between is void */
    uint64_t copied_end;   /* records below this were synced before the file got its name */
};

static inline uint64_t wal_head_end(const struct wal_head *head)
{
    return head->first + head->bytes - WAL_HEAD_BYTES;
}

void wal_head_encode(const struct wal_head *head, uint8_t to[WAL_HEAD_BYTES]);
/* CAIRN_ECORRUPT, CAIRN_EVERSION; name is for the message. */
enum cairn_code wal_head_decode(const uint8_t from[WAL_HEAD_BYTES], const char *name, struct wal_head *ret_head,
                                struct cairn_err *err);

/* What a record takes in a segment. */
static inline uint64_t wal_record_bytes(uint64_t body_bytes)
{
    return WAL_RECORD_HEAD_BYTES + ((body_bytes + 7) & ~UINT64_C(7));
}

/* The first half, known when the position is reserved; body and zero padding follow at once. */
static inline void wal_record_begin(uint8_t *record, uint32_t length, uint64_t position)
{
    cairn_put_u32(record + 4, length);
    cairn_put_u64(record + 16, position);
}

static inline uint32_t wal_record_length(const uint8_t *record)
{
    return cairn_get_u32(record + 4);
}

static inline uint64_t wal_record_position(const uint8_t *record)
{
    return cairn_get_u64(record + 16);
}

/* The second half, known when it is written: epoch, position known durable, checksum. */
void wal_record_finish(uint8_t *record, uint64_t epoch, uint64_t random, uint64_t durable);

enum wal_record_kind { WAL_BAD, WAL_DATA, WAL_SEALED };

struct wal_record {
    enum wal_record_kind kind;
    uint64_t position, durable;
    uint64_t bytes; /* in the segment, header and padding included */
    struct cairn_bytes body;
};

/* Looks at a record's header alone: how many bytes must be at hand to judge it, 0 if it is bad
 * already.  `room` is what is left of the segment, at least WAL_RECORD_HEAD_BYTES. */
uint64_t wal_record_probe(const uint8_t *head, const struct wal_head *segment, uint64_t position, uint64_t room);
/* Judges a record whose probed bytes are at hand. */
void wal_record_decode(const uint8_t *record, const struct wal_head *segment, uint64_t position, uint64_t room,
                       struct wal_record *ret_record);

struct wal_mark {
    uint64_t sequence; /* the slot with the higher one counts */
    uint64_t epoch;    /* of the newest opening that was completed; 0: none yet */
    uint64_t durable;  /* records below are on stable storage */
    uint64_t trim;     /* records below are needed no more and may be gone */
    uint64_t time_ms;  /* no wall-clock time above it was given out */
};

void wal_mark_encode(const struct wal_mark *mark, uint8_t to[WAL_MARK_SLOT_BYTES]);
enum cairn_code wal_mark_decode(const uint8_t from[WAL_MARK_SLOT_BYTES], const char *name, uint64_t offset,
                                struct wal_mark *ret_mark, struct cairn_err *err);

#endif
