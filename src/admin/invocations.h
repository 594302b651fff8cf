/* invocations.h - open durable invocations, for the operator: listed, shown with their journals, cancelled.
 * Threads: as operation.h says.  Layer: admin (private). */
#ifndef CAIRN_ADMIN_INVOCATIONS_H
#define CAIRN_ADMIN_INVOCATIONS_H

#include "object/operation.h"

extern const struct operation invocations_operation, invocation_operation, journal_operation, cancel_operation;

#endif
