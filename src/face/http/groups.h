/* What the requests for consumer groups share. */
#pragma once

#include "face/http/request.h"
#include "group/group.h"

/* NULL: there is no coordinator, and the request was answered with 501. Loop thread. */
struct ms_groups *ms_http_groups(struct ms_http_request *request);
/* The problem document for what the coordinator says about the request's group. That it has
 * members is told with its state and how many there are, as members of the document too. Whoever
 * the request belongs to. */
void ms_http_group_refuse(struct ms_http_request *request, enum ms_group_code code);
