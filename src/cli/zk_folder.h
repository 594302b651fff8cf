/* zk_folder.h - a ZooKeeper's data folder, read as ZooKeeper does when it starts: the newest snapshot that is whole,
 * and the logs behind it.  Nothing in it is changed; ZooKeeper must not be running on it.
 * Threads: main.  Layer: cli. */
#ifndef CAIRN_CLI_ZK_FOLDER_H
#define CAIRN_CLI_ZK_FOLDER_H

#include "cli/flags.h"
#include "proto/zk_database.h"

/* Where the folder is, and what its nodes may take: of a struct options with the members zookeeper, logs (texts) and
 * memory_mib (CAIRN_ZK_FOLDER_MEMORY_MIB, unless it is given). */
enum { CAIRN_ZK_FOLDER_MEMORY_MIB = 4096 };
#define CAIRN_ZK_FOLDER_FLAGS(options)                                                    \
    {.name = "zookeeper",                                                                 \
     .kind = CAIRN_FLAG_TEXT,                                                             \
     .value = "DIR",                                                                      \
     .help = "a ZooKeeper's dataDir, which is not changed; it must not be running there", \
     .offset = offsetof(options, zookeeper)},                                             \
        {.name = "zookeeper-logs",                                                        \
         .kind = CAIRN_FLAG_TEXT,                                                         \
         .value = "DIR",                                                                  \
         .help = "its dataLogDir, if that is another",                                    \
         .offset = offsetof(options, logs)},                                              \
    {                                                                                     \
        .name = "memory", .kind = CAIRN_FLAG_NUMBER, .value = "MIB",                      \
        .help = "that its nodes may take meanwhile (4096)", .min = 1, .max = 1 << 24,     \
        .offset = offsetof(options, memory_mib)                                           \
    }

struct cairn_zk_folder {
    const char *data, *logs; /* dataDir, or its version-2; dataLogDir, or NULL: the same */
    uint64_t bytes_max;      /* of memory */
    /* A snapshot that was passed over, and why. */
    void (*warn)(void *context, const char *text);
    void *context;
};

/* CAIRN_ENOTFOUND: there is no snapshot.  CAIRN_ECORRUPT: what is needed is damaged, or part of the log is missing. */
enum cairn_code cairn_zk_folder_read(const struct cairn_zk_folder *folder, struct cairn_zk_database **ret_database,
                                     struct cairn_err *err);

#endif
