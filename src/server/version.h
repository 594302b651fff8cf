/* version.h - this build's version.  Layer: server. */
#ifndef CAIRN_SERVER_VERSION_H
#define CAIRN_SERVER_VERSION_H

#define CAIRN_VERSION       "0.1.0"
/* The Redis whose protocol is spoken; client libraries look for a version in INFO. */
#define CAIRN_REDIS_VERSION "7.0.0"

/* The ZooKeeper whose protocol is spoken: clients and tools look for it in the answers to `srvr`, `stat` and `envi`. */
#define CAIRN_ZK_VERSION      "3.8.4-cairn-" CAIRN_VERSION
/* Such answers have a date, too. */
#define CAIRN_ZK_FULL_VERSION CAIRN_ZK_VERSION ", built on 2026-11-28 00:00 UTC"

#endif
