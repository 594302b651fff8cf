/* mailbox.h - how invocations come to an object, wait there in order, and leave to run.
 * Threads: the worker's.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_MAILBOX_H
#define CAIRN_OBJECT_MAILBOX_H

#include "object/message.h"

struct invocation;
struct method;
struct object;
struct type;

/* An invocation has come to the worker that owns its object. */
void invocation_arrive(struct cairn_worker *worker, struct invocation *inv);
/* The same, as a message. */
void receive_invocation(struct cairn_worker *worker, struct message *message);
/* Is there such a type and method, and may it be called like this?  False: it was refused. */
bool mailbox_may_call(struct cairn_worker *worker, struct invocation *inv, struct type *type, struct method *method);
/* At the back of its mailbox: it begins, or begins again, without having been sent here. */
void mailbox_enter(struct invocation *inv);
/* Puts the object on the list of those to run, if its mailbox's head may start. */
void object_make_ready(struct cairn_worker *worker, struct object *object);
struct invocation *mailbox_take(struct cairn_worker *worker, struct object *object); /* NULL: none may start */
/* To the head: what it waited for is there. */
void mailbox_resume(struct cairn_worker *worker, struct invocation *inv);
/* A transaction's root begins anew: to the head, behind those of older ones. */
void mailbox_again(struct cairn_worker *worker, struct invocation *inv);
/* To the head, or back to admission: it has turned out to need a fiber, and there is none. */
void mailbox_await_fiber(struct cairn_worker *worker, struct invocation *inv);
/* Before all that wait for its object. */
void mailbox_to_head(struct invocation *inv);
/* It was taken to run, and its method is slow: true if it goes back and waits, as its namespace's requests hold their
 * share of the fibers. */
bool mailbox_puts_off(struct cairn_worker *worker, struct invocation *inv);
/* It leaves the line that it waits in, to run or to end. */
void mailbox_leave(struct cairn_worker *worker, struct invocation *inv);
/* A call that has come to nothing leaves the mailbox that it waits in, and is no more. */
void mailbox_withdraw(struct cairn_worker *worker, struct invocation *inv);
struct invocation *mailbox_give_up(struct cairn_worker *worker); /* takes the first that waits for a fiber */
/* There are fibers again: those that wait for one may start. */
void fibers_freed(struct cairn_worker *worker);
/* A fiber held by a request from outside is free: what waits for one comes in. */
void admission_next(struct cairn_worker *worker);
/* Takes one of those that wait for admission; NULL: there is none. */
struct invocation *admission_take(struct cairn_worker *worker);

#endif
