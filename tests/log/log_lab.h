/* log_lab.h - a log over a simulated disk beside a model of what it has promised.
 *
 * Records are numbered; a record's body follows from its number and size.  The lab remembers which
 * were appended, acknowledged and durable, every position ever given, and checks after each opening
 * that what is read is a prefix of what was appended (but for a trimmed front), holds everything
 * that the promises say it holds, and that positions and epochs were never used twice. */
#ifndef CAIRN_TESTS_LOG_LAB_H
#define CAIRN_TESTS_LOG_LAB_H

#include "base/random.h"
#include "log/wal.h"

struct lab_record {
    uint64_t number, position, end;
    uint32_t size;
};

struct lab {
    struct cairn_disk *disk;
    struct cairn_sim_clock clock;
    struct cairn_random random;
    struct cairn_log_place place;
    struct cairn_wal_options options;
    struct cairn_log *log;      /* NULL: closed */
    struct lab_record *records; /* in the log as far as is known, ascending */
    size_t count, capacity;
    uint64_t next_number;
    uint64_t acknowledged, durable;   /* record numbers below this were */
    uint64_t kept;                    /* below this the operating system has them: a kill loses none */
    uint64_t trimmed;                 /* record numbers below this may be gone */
    uint64_t position_max, epoch_max; /* ever given */
    uint64_t progress, failed_count, warning_count;
    uint64_t time_given, time_reserved;
    struct cairn_err err; /* of the last failed open, start or close */
};

void lab_init(struct lab *lab, uint64_t seed, enum cairn_sync_mode sync);
void lab_done(struct lab *lab);
/* A second lab in the same state over a copy of the disk; the log must be closed. */
void lab_clone(const struct lab *lab, struct lab *to);

/* Opens, reads everything and checks it; a failure is the log's own. */
enum cairn_code lab_open(struct lab *lab);
/* ...and starts. */
enum cairn_code lab_start(struct lab *lab);
enum cairn_code lab_close(struct lab *lab);
/* A killed process: the disk keeps what the operating system has. */
void lab_kill(struct lab *lab);
/* The power goes and comes back. */
void lab_crash(struct lab *lab, enum cairn_sim_crash how);

/* Claims and appends one record of the next number. */
enum cairn_code lab_append(struct lab *lab, uint32_t size);
/* Wants all that was appended. */
void lab_want(struct lab *lab);
/* Steps until nothing is to be done, then notes what is acknowledged and durable. */
void lab_settle(struct lab *lab);
void lab_step(struct lab *lab);
void lab_advance_ms(struct lab *lab, uint64_t ms);
/* Trims to the end of a record that is durable. */
void lab_trim(struct lab *lab, uint64_t number);
/* One of all these, as the lab's generator says; false once the log has failed. */
bool lab_act(struct lab *lab);

void lab_body(uint64_t number, uint32_t size, uint8_t *to);

#endif
