/* From a request's header to its handler; see dispatch.h. Any thread. */
#include "face/kafka/dispatch.h"

#define API_VERSIONS 18

int ms_kafka_dispatch_init(struct ms_kafka_dispatch *dispatch,
                           const struct ms_kafka_handler *handlers, size_t count, unsigned lacking,
                           struct ms_error *err) {
    *dispatch = (struct ms_kafka_dispatch){0};
    MS_ASSERT(ms_kafka_api_count <= MS_KAFKA_APIS_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct ms_kafka_api *api = ms_kafka_api_find(handlers[i].key);
        if (!api)
            return ms_error_set(err, MS_EINVAL, "kafka: no API has key %d", handlers[i].key);
        if (handlers[i].flags & lacking)
            continue;
        if (dispatch->handlers[api->index])
            return ms_error_set(err, MS_EINVAL, "kafka: two handlers for %s", api->name);
        dispatch->handlers[api->index] = &handlers[i];
    }
    return 0;
}

enum ms_kafka_route ms_kafka_dispatch_route(const struct ms_kafka_dispatch *dispatch,
                                            const struct ms_kafka_request_header *header,
                                            bool authenticated, const struct ms_kafka_api **ret_api,
                                            const struct ms_kafka_handler **ret_handler,
                                            struct ms_error *err) {
    const struct ms_kafka_api *api = ms_kafka_api_find(header->key);
    const struct ms_kafka_handler *handler = api ? dispatch->handlers[api->index] : NULL;
    if (!handler) {
        (void)ms_error_set(err, MS_EUNSUPPORTED, "API key %d is not offered", header->key);
        return MS_KAFKA_ROUTE_REFUSE;
    }
    if (!authenticated && !(handler->flags & MS_KAFKA_BEFORE_AUTHENTICATION)) {
        (void)ms_error_set(err, MS_EINVAL, "%s before authentication", api->name);
        return MS_KAFKA_ROUTE_REFUSE;
    }
    bool spoken = header->version >= api->decode_min && header->version <= api->max;
    if (!spoken && api->key != API_VERSIONS) {
        (void)ms_error_set(err, MS_EUNSUPPORTED, "%s in version %d, versions %d to %d are spoken",
                           api->name, header->version, api->decode_min, api->max);
        return MS_KAFKA_ROUTE_REFUSE;
    }
    *ret_api = api;
    *ret_handler = handler;
    return spoken ? MS_KAFKA_ROUTE_HANDLE : MS_KAFKA_ROUTE_UNSPOKEN;
}
