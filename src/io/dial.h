/* dial.h - a blocking TCP connection, for programs that talk to a node and do nothing else.
 * Threads: a connection has one owner.  Layer: io; uses base. */
#ifndef CAIRN_IO_DIAL_H
#define CAIRN_IO_DIAL_H

#include "io/loop.h"

/* CAIRN_EUNAVAILABLE: nothing answers there. */
enum cairn_code cairn_dial(const struct cairn_address *address, uint32_t timeout_ms, int *ret_fd,
                           struct cairn_err *err);
enum cairn_code cairn_dial_send(int fd, struct cairn_bytes bytes, struct cairn_err *err);
/* 0 bytes: the other side has ended. */
enum cairn_code cairn_dial_receive(int fd, void *to, size_t size, size_t *ret_size, struct cairn_err *err);
void cairn_dial_close(int fd);

#endif
