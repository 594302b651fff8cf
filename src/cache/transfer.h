/* transfer.h - the bytes of one large value on their way in, or out: where the next ones go, or come from.
 *
 *   writing: begin -> { room -> wrote }* -> sealed -> end          (the value is then whole, or was given up)
 *   reading: begin -> { next -> took }* -> end
 *
 * A stripe is coded when its last byte is in, and checked before its first byte goes out; so a transfer has a stripe in
 * its hands, not the value.  Bytes of instances in this process are never copied: they are where the pieces say.
 * A chunk that is lost meanwhile is made up for: by spare cells while writing, by decoding while reading.
 *
 * Threads: one at a time.  Layer: cache. */
#ifndef CAIRN_CACHE_TRANSFER_H
#define CAIRN_CACHE_TRANSFER_H

#include <sys/uio.h>

#include "cache/large.h"

enum cairn_transfer_state {
    CAIRN_TRANSFER_READY,
    CAIRN_TRANSFER_WAITS, /* for a provider, which calls `wake` */
    CAIRN_TRANSFER_FAILED /* too many chunks are lost */
};

/* Cells of one stripe that are in no instance; a thread's, for one transfer after the other. */
struct cairn_scratch {
    const void *owner; /* whose stripe is in it */
    uint64_t stripe;
    uint8_t *cells[CAIRN_CHUNKS_MAX];
};

/* Zeroed is ready. */
void cairn_scratch_done(struct cairn_scratch *scratch);

struct cairn_writing {
    struct cairn_large *large;
    struct cairn_chunk *chunks[CAIRN_CHUNKS_MAX]; /* references; NULL: lost */
    struct cairn_held held[CAIRN_CHUNKS_MAX];
    uint8_t *spare[CAIRN_CHUNKS_MAX]; /* cells of those that are lost, while they are coded */
    uint32_t *sums;                   /* of the cells: those of chunk 0 first */
    uint64_t at;                      /* bytes of the value that are there */
};

/* The value has just been reserved, and only this one knows it. */
void cairn_writing_begin(struct cairn_writing *writing, struct cairn_large *large);
/* Where the next bytes of the value go: within one stripe.  Returns how many pieces there are. */
size_t cairn_writing_room(struct cairn_writing *writing, struct iovec *to, size_t most);
/* So many of them were written there. */
void cairn_writing_wrote(struct cairn_writing *writing, size_t bytes);
/* All bytes were written.  READY: any loss that the redundancy is for does not lose it. */
enum cairn_transfer_state cairn_writing_seal(struct cairn_writing *writing);
/* Gives back what it holds; the value's reference was the caller's and stays. */
void cairn_writing_end(struct cairn_writing *writing);

struct cairn_reading {
    struct cairn_large *large; /* a reference */
    struct cairn_scratch *scratch;
    struct cairn_chunk *chunks[CAIRN_CHUNKS_MAX]; /* references */
    struct cairn_held held[CAIRN_CHUNKS_MAX];
    uint64_t summed; /* chunks whose checksums were found to be those that were written */
    uint64_t at, end;
    uint64_t stripe; /* that was checked, from `at` on; UINT64_MAX: none */
    uint64_t made;   /* its cells that were decoded, and are in the scratch */
    bool damaged;    /* a chunk is lost: the value should be repaired */
};

/* Bytes from .. end - 1. */
void cairn_reading_begin(struct cairn_reading *reading, struct cairn_large *large, uint64_t from, uint64_t end,
                         struct cairn_scratch *scratch);
/* The next bytes, as they were written: within one stripe, until the scratch is used for another transfer. */
enum cairn_transfer_state cairn_reading_next(struct cairn_reading *reading, struct iovec *to, size_t most,
                                             size_t *ret_count);
void cairn_reading_took(struct cairn_reading *reading, size_t bytes);
void cairn_reading_end(struct cairn_reading *reading);

/* Makes what is lost of a value again, a few stripes at a time. */
struct cairn_repair {
    struct cairn_large *large; /* a reference */
    uint64_t wanted;           /* chunks */
    struct cairn_chunk *fresh[CAIRN_CHUNKS_MAX], *chunks[CAIRN_CHUNKS_MAX];
    struct cairn_held fresh_held[CAIRN_CHUNKS_MAX], held[CAIRN_CHUNKS_MAX];
    uint64_t stripe, summed;
    uint32_t *sums;
};

/* False: nothing is lost, too much is, or there is no room.  Only one repair of a value is under way. */
bool cairn_repair_begin(struct cairn_repair *repair, struct cairn_large *large);
/* True: there is more. */
bool cairn_repair_step(struct cairn_repair *repair, uint32_t stripes);
void cairn_repair_end(struct cairn_repair *repair); /* also before it is through */

#endif
