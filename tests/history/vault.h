/* vault.h - a rig (rig.h) whose store takes versions of itself, with or without an archive, and goes back to them. */
#ifndef CAIRN_TESTS_SHARD_VAULT_H
#define CAIRN_TESTS_SHARD_VAULT_H

#include "shard/rig.h"

enum { VAULT_VERSIONS_MAX = 64 };

struct taken {
    uint64_t number;
    uint32_t low, high; /* commits before the request, and at the end */
};

struct vault {
    struct rig rig;
    struct cairn_disk *archive_disk; /* NULL: there is no archive */
    uint64_t times[RIG_COMMITS_MAX + 1];
    struct taken taken[VAULT_VERSIONS_MAX];
    size_t count;
};

/* With an open store, of an engine that the seed chooses. */
void vault_init(struct vault *vault, uint64_t seed);
void vault_init_archive(struct vault *vault, uint64_t seed);
void vault_done(struct vault *vault);
/* The store goes on with what the archive has, on a new disk; *old is what there was, still open. */
enum cairn_code vault_move(struct vault *vault, uint64_t seed, struct rig *old, struct cairn_err *err);

void vault_must_open(struct rig *rig, const char *label);
/* In order; the disk may be opened again then. */
void vault_close(struct rig *rig);
/* Commits, with a drawn amount of everything else in between; of load_timed each has a time of its own. */
void vault_load(struct rig *rig, int commits);
void vault_load_timed(struct vault *vault, int commits);
uint32_t vault_last_at(const struct vault *vault, uint64_t wall_ms);
/* A version, while commits go on. */
enum cairn_code vault_take(struct vault *vault, struct cairn_err *err);
/* The store is closed, and stays so. */
void vault_restore(struct rig *rig, uint64_t number, uint64_t *ret_undo);
/* Opens it, and the state is the version's. */
void vault_check_taken(struct rig *rig, const struct taken *taken);
/* Goes to each of the versions, and back. */
void vault_check_all(struct vault *vault);
/* Goes to some moments from a commit on, and back. */
void vault_check_moments(struct vault *vault, uint32_t first);

void vault_must_take(struct vault *vault);
void vault_must_move(struct vault *vault, uint64_t seed, struct rig *old);
/* A machine that is no more. */
void vault_lose(struct rig *rig);
/* Commits that the archive has. */
uint32_t vault_commits_archived(const struct rig *rig);
/* How many objects there are in a folder of the archive. */
size_t vault_blobs(struct vault *vault, const char *folder);

#endif
