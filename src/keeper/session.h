/* session.h - sessions at the owner of their tree: when they are over, and which of their reads wait.
 *
 * A session's deadline moves whenever its link was heard, and is looked at when its slot of the wheel comes: then it is
 * over, or goes to a later slot.  The time is the worker's own, which stands still while the process was stopped.
 * Threads: the owner's.  Layer: keeper (private). */
#ifndef CAIRN_KEEPER_SESSION_H
#define CAIRN_KEEPER_SESSION_H

#include "keeper/tree.h"

struct keeper_session *keeper_session_find(struct keeper_tree *tree, uint64_t number);
/* It has its full timeout from now on. */
struct keeper_session *keeper_session_add(struct keeper_tree *tree, uint64_t number, uint32_t timeout_ms);
/* At that zxid: no request is taken any more, and its link is told. */
void keeper_session_close(struct keeper_session *session, uint64_t zxid);
/* It is no more, and its link is told. */
void keeper_session_over(struct keeper_session *session);
void keeper_session_free(struct keeper_session *session);
/* The node closes: what waits is dropped. */
void keeper_session_drop_parked(struct keeper_tree *tree);
void keeper_session_heard(struct keeper_session *session);
/* A link's at that worker from now on; the one before is told. */
void keeper_session_attach(struct keeper_session *session, uint32_t worker, uint32_t generation);
/* All its writes up to that one are decided: reads go on. */
void keeper_session_decided(struct keeper_session *session, uint64_t number);
/* Sessions whose time is over are ended. */
void keeper_sessions_look(struct keeper_worker *kw);

#endif
