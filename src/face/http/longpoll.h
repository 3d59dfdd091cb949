/*
 * Long polls (?wait=30s): the request sleeps on a subscription until something that it asks for is
 * there, or its time is over, and is then answered exactly as the plain read would be at that
 * moment.
 *
 *   start --reader: anything from `from`?--> yes --------------------------> plain read
 *                       |no                                                  ^
 *                       v              wake-up, then asked again             |
 *                     ARMED --------------------------------------- time is over, server stops
 *
 * Loop thread.
 */
#pragma once

#include "face/http/request.h"

void ms_http_longpoll_start(struct ms_http_request *request);
/* The following take any request and do nothing for one that is no sleeping long poll. */
void ms_http_longpoll_tick(struct ms_http_request *request);
/* The server stops: its time is over. */
void ms_http_longpoll_end(struct ms_http_request *request);
/* The peer is gone. */
void ms_http_longpoll_forget(struct ms_http_request *request);
