/* show.h - SHOW and DELETE: one segment at the object, without a guest.
 * Threads: any worker's.  Layer: admin (private). */
#ifndef CAIRN_ADMIN_SHOW_H
#define CAIRN_ADMIN_SHOW_H

#include "object/operation.h"

extern const struct operation show_operation, delete_operation;

#endif
