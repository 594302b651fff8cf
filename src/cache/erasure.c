#include "cache/erasure.h"

#include <isa-l/erasure_code.h>
#include <stdio.h>
#include <stdlib.h>

struct cairn_erasure {
    struct cairn_redundancy redundancy;
    uint8_t matrix[CAIRN_CHUNKS_MAX * CAIRN_CHUNKS_MAX]; /* a row of `data` factors for each cell */
    uint8_t tables[];                                    /* of the parity's rows: 32 bytes a factor */
};

/* --- redundancy --- */

/* One or two digits, and `stop` behind them; -1: it is something else. */
static int number(const char **text, char stop)
{
    int n = 0, digits = 0;

    for (; **text >= '0' && **text <= '9' && digits < 3; (*text)++, digits++)
        n = 10 * n + (**text - '0');
    if (digits == 0 || digits > 2 || **text != stop)
        return -1;
    if (stop)
        (*text)++;
    return n;
}

static enum cairn_code bound(const char *text, uint32_t data, uint32_t parity, struct cairn_redundancy *ret,
                             struct cairn_err *err)
{
    if (data + parity > CAIRN_CHUNKS_MAX || parity > CAIRN_PARITY_MAX)
        return cairn_fail(err, CAIRN_EINVAL, "'%s' has too many chunks: at most %d, and at most %d of them for parity",
                          text, CAIRN_CHUNKS_MAX, CAIRN_PARITY_MAX);
    ret->data = (uint8_t)data;
    ret->parity = (uint8_t)parity;
    return CAIRN_OK;
}

static enum cairn_code parse_raid(const char *text, struct cairn_redundancy *ret, struct cairn_err *err)
{
    /* data = chunks - parity, but of level 1, which keeps copies of one chunk. */
    static const struct level {
        int number;
        uint8_t parity, least;
        bool rotates;
    } levels[] = {{0, 0, 1, false}, {1, 0, 2, false}, {4, 1, 2, false}, {5, 1, 2, true}, {6, 2, 3, true}};
    const char *at = text + 4;
    int level = *at - '0', chunks;

    if (level == 2 || level == 3)
        return cairn_fail(err, CAIRN_EINVAL,
                          "'%s': RAID levels 2 and 3 code single bits, which is not there; take raid4, "
                          "raid5 or raid6",
                          text);
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if (levels[i].number != level)
            continue;
        at += at[1] == ':' ? 2 : 1;
        chunks = number(&at, 0);
        if (chunks < levels[i].least)
            return cairn_fail(err, CAIRN_EINVAL, "'%s' needs a number of chunks, %d at least, for example raid%d:%d",
                              text, levels[i].least, level, levels[i].least + 2);
        ret->rotates = levels[i].rotates;
        return level == 1 ? bound(text, 1, (uint32_t)chunks - 1, ret, err)
                          : bound(text, (uint32_t)chunks - levels[i].parity, levels[i].parity, ret, err);
    }
    return cairn_fail(err, CAIRN_EINVAL, "'%s' is no RAID level: raid0, raid1, raid4, raid5 or raid6", text);
}

enum cairn_code cairn_redundancy_parse(const char *text, struct cairn_redundancy *ret, struct cairn_err *err)
{
    const char *at = text;
    int data, parity;

    *ret = (struct cairn_redundancy){0};
    if (strncmp(text, "raid", 4) == 0)
        return parse_raid(text, ret, err);
    data = number(&at, '+');
    parity = data > 0 ? number(&at, 0) : -1;
    if (parity < 0)
        return cairn_fail(
            err, CAIRN_EINVAL,
            "'%s' is no redundancy: two numbers of chunks, data and parity, such as 10+2, or a RAID level such "
            "as raid5:5",
            text);
    return bound(text, (uint32_t)data, (uint32_t)parity, ret, err);
}

void cairn_redundancy_print(const struct cairn_redundancy *redundancy, char to[CAIRN_REDUNDANCY_TEXT_BYTES])
{
    if (redundancy->rotates)
        snprintf(to, CAIRN_REDUNDANCY_TEXT_BYTES, "raid%d:%u", 4 + redundancy->parity,
                 cairn_redundancy_chunks(redundancy));
    else
        snprintf(to, CAIRN_REDUNDANCY_TEXT_BYTES, "%u+%u", redundancy->data, redundancy->parity);
}

/* --- cutting --- */

static uint64_t up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

static uint64_t full_stripe(const struct cairn_redundancy *redundancy)
{
    return (uint64_t)redundancy->data * CAIRN_CELL_BYTES;
}

struct cairn_cut cairn_cut(const struct cairn_redundancy *redundancy, uint64_t bytes)
{
    uint64_t full = full_stripe(redundancy);
    struct cairn_cut cut = {.redundancy = *redundancy, .bytes = bytes, .stripes = (bytes + full - 1) / full};
    uint64_t last = bytes - (cut.stripes ? (cut.stripes - 1) * full : 0);

    cut.last_cell = (uint32_t)up((last + redundancy->data - 1) / redundancy->data, CAIRN_CELL_ALIGN);
    return cut;
}

uint32_t cairn_cut_cell_bytes(const struct cairn_cut *cut, uint64_t stripe)
{
    return stripe + 1 < cut->stripes ? CAIRN_CELL_BYTES : cut->last_cell;
}

uint64_t cairn_cut_stripe_bytes(const struct cairn_cut *cut, uint64_t stripe)
{
    uint64_t full = full_stripe(&cut->redundancy);

    return stripe + 1 < cut->stripes ? full : cut->bytes - stripe * full;
}

uint64_t cairn_cut_chunk_bytes(const struct cairn_cut *cut)
{
    return cut->stripes ? cairn_cut_sum_offset(cut, cut->stripes) : 0;
}

uint64_t cairn_cut_cell_offset(uint64_t stripe)
{
    return stripe * CAIRN_CELL_BYTES;
}

uint64_t cairn_cut_sum_offset(const struct cairn_cut *cut, uint64_t stripe)
{
    return cairn_cut_cell_offset(cut->stripes - 1) + cut->last_cell + stripe * sizeof(uint32_t);
}

/* Left-symmetric: cell 0 stands behind the parity, which moves left by its width from stripe to stripe. */
static uint32_t first_chunk(const struct cairn_cut *cut, uint64_t stripe)
{
    uint32_t chunks = cairn_redundancy_chunks(&cut->redundancy);

    if (!cut->redundancy.rotates)
        return 0;
    return (uint32_t)((chunks - stripe * cut->redundancy.parity % chunks) % chunks);
}

uint32_t cairn_cut_chunk_of(const struct cairn_cut *cut, uint64_t stripe, uint32_t cell)
{
    return (first_chunk(cut, stripe) + cell) % cairn_redundancy_chunks(&cut->redundancy);
}

uint32_t cairn_cut_cell_of(const struct cairn_cut *cut, uint64_t stripe, uint32_t chunk)
{
    uint32_t chunks = cairn_redundancy_chunks(&cut->redundancy);

    return (chunk + chunks - first_chunk(cut, stripe)) % chunks;
}

/* --- coding --- */

struct cairn_erasure *cairn_erasure_new(const struct cairn_redundancy *redundancy)
{
    uint32_t data = redundancy->data, parity = redundancy->parity;
    struct cairn_erasure *erasure = cairn_alloc_zeroed(1, sizeof *erasure + 32ul * data * parity);

    erasure->redundancy = *redundancy;
    gf_gen_cauchy1_matrix(erasure->matrix, (int)(data + parity), (int)data);
    if (parity == 1 || data == 1)
        memset(erasure->matrix + data * data, 1, data * parity);
    if (parity)
        ec_init_tables((int)data, (int)parity, erasure->matrix + data * data, erasure->tables);
    return erasure;
}

struct cairn_erasure *cairn_erasure_free(struct cairn_erasure *erasure)
{
    free(erasure);
    return NULL;
}

void cairn_erasure_encode(const struct cairn_erasure *erasure, uint32_t bytes, uint8_t *const *data,
                          uint8_t *const *parity)
{
    if (erasure->redundancy.parity) /* ISA-L changes neither the tables nor the pointers */
        ec_encode_data((int)bytes, erasure->redundancy.data, erasure->redundancy.parity, (uint8_t *)erasure->tables,
                       (uint8_t **)data, (uint8_t **)parity);
}

/* row x matrix, `size` wide. */
static void multiply(const uint8_t *row, const uint8_t *matrix, uint32_t size, uint8_t *to)
{
    for (uint32_t column = 0; column < size; column++) {
        uint8_t sum = 0;

        for (uint32_t i = 0; i < size; i++)
            sum ^= gf_mul(row[i], matrix[i * size + column]);
        to[column] = sum;
    }
}

bool cairn_mend_plan(const struct cairn_erasure *erasure, uint64_t there, uint64_t wanted, struct cairn_mend *ret)
{
    uint32_t data = erasure->redundancy.data, chunks = cairn_redundancy_chunks(&erasure->redundancy);
    uint8_t kept[CAIRN_CHUNKS_MAX * CAIRN_CHUNKS_MAX], inverse[sizeof kept], rows[sizeof kept];

    ret->from_count = ret->to_count = 0;
    for (uint32_t cell = 0; cell < chunks && ret->from_count < data; cell++)
        if (there >> cell & 1) {
            memcpy(kept + ret->from_count * data, erasure->matrix + cell * data, data);
            ret->from[ret->from_count++] = (uint8_t)cell;
        }
    /* An inverse exists for any rows of these matrices; the test goes through all. */
    if (ret->from_count < data || gf_invert_matrix(kept, inverse, (int)data) != 0)
        return false;
    for (uint32_t cell = 0; cell < chunks; cell++)
        if (wanted >> cell & 1) {
            multiply(erasure->matrix + cell * data, inverse, data, rows + ret->to_count * data);
            ret->to[ret->to_count++] = (uint8_t)cell;
        }
    if (ret->to_count)
        ec_init_tables((int)data, (int)ret->to_count, rows, ret->tables);
    return true;
}

void cairn_mend_run(const struct cairn_mend *mend, uint32_t bytes, uint8_t *const *from, uint8_t *const *to)
{
    if (mend->to_count)
        ec_encode_data((int)bytes, (int)mend->from_count, (int)mend->to_count, (uint8_t *)mend->tables,
                       (uint8_t **)from, (uint8_t **)to);
}

/* --- RAID --- */

struct cairn_raid_place cairn_raid0_place(uint32_t disks, uint32_t chunk, uint64_t block)
{
    uint64_t row = block / chunk / disks;

    return (struct cairn_raid_place){.disk = (uint32_t)(block / chunk % disks), .offset = row * chunk + block % chunk};
}
