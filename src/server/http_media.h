/* http_media.h - the media type of an encoded value, as it is (base/value.h).  Layer: server. */
#ifndef CAIRN_SERVER_HTTP_MEDIA_H
#define CAIRN_SERVER_HTTP_MEDIA_H

#define CAIRN_VALUE_TYPE "application/vnd.cairn.value"

#endif
