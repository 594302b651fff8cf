/* zk_text.h - ZooKeeper's messages as text, for tests:
 * create xid=1 path="/a" data=6162 acl=[31 world anyone] flags=2
 *
 * Members that are 0 (or have no data, or count 0) are left out; data is in hexadecimal digits; null is told.  So what
 * another encoder has written down can be compared. */
#ifndef CAIRN_TESTS_PROTO_ZK_TEXT_H
#define CAIRN_TESTS_PROTO_ZK_TEXT_H

#include "proto/zk.h"

void zk_request_text(struct cairn_buf *to, const struct cairn_zk_request *request);
void zk_reply_text(struct cairn_buf *to, int32_t op, const struct cairn_zk_reply *reply);
void zk_event_text(struct cairn_buf *to, const struct cairn_zk_event *event);
void zk_connect_text(struct cairn_buf *to, const struct cairn_zk_connect *connect);
void zk_connected_text(struct cairn_buf *to, const struct cairn_zk_connected *connected);

#endif
