/* version.h - this build's version.  Layer: server. */
#ifndef CAIRN_SERVER_VERSION_H
#define CAIRN_SERVER_VERSION_H

#define CAIRN_VERSION       "0.1.0"
/* The Redis whose protocol is spoken; client libraries look for a version in INFO. */
#define CAIRN_REDIS_VERSION "7.0.0"

#endif
