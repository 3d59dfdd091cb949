/*
 * Hostile bytes on a connection of the whole Kafka face, with a store, groups and transactions
 * behind it: framing, SASL, every handler. One server for all inputs, so what a request does
 * depends a little on those before it.
 *
 *   byte 0   bits of enum way
 *   byte 1   in how large pieces it is sent
 *   rest     FRAMED: requests, each: u8 API | u8 version | u16 length | body (the harness makes the
 *            frame and its header); else bytes as they are
 *
 * Asserted: what comes back are whole frames, answers in the order of the requests; before
 * authentication nothing but ApiVersions and SASL is answered; and the server serves others
 * afterwards.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/endian.h"
#include "face/kafka/kafka.h"
#include "group/service.h"
#include "os/env.h"
#include "txn/service.h"
#include "wire/kafka/messages.h"

#define REQUESTS_MAX 32
#define FRAME_MAX ((size_t)1 << 16)
#define ANSWERS_MAX ((size_t)64 << 20)
#define QUIET_MS 20 /* what waits for records or for a group is not waited for */
#define FIRST_CORRELATION 1000

enum way { FRAMED = 1, LOCKED = 2, ASK_AFTERWARDS = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the server, made by the first input ---- */

static struct {
    struct ms_store *store;
    struct ms_txn_service *txns;
    struct ms_group_service *groups;
    struct ms_kafka *open, *locked;
    char dir[256];
} world;

static int let_nobody_in(void *context, struct ms_bytes mechanism, struct ms_bytes token,
                         struct ms_error *err) {
    (void)context;
    (void)mechanism;
    (void)token;
    return ms_error_set(err, MS_EINVAL, "nobody comes in here");
}

static struct ms_kafka *start_face(bool locked) {
    struct ms_kafka_options options;
    struct ms_kafka *kafka;
    ms_kafka_options_init(&options);
    options.listen = "127.0.0.1:0";
    options.threads = 1;
    options.request_bytes_max = FRAME_MAX;
    options.auto_create_partitions = 2;
    options.groups = ms_group_service_groups(world.groups);
    options.txns = ms_txn_service_txns(world.txns);
    options.authenticate = locked ? let_nobody_in : NULL;
    MS_ASSERT(ms_kafka_start(world.store, &options, &kafka, NULL) == 0);
    return kafka;
}

static void remove_world(void) {
    char *command[] = {"rm", "-rf", world.dir, NULL};
    int status;
    pid_t child;
    ms_txn_service_stop(world.txns);
    ms_group_service_stop(world.groups);
    ms_kafka_stop(world.open, 0);
    ms_kafka_stop(world.locked, 0);
    ms_txn_service_free(world.txns);
    ms_group_service_free(world.groups);
    MS_ASSERT(ms_store_close(world.store, NULL) == 0);
    MS_ASSERT(posix_spawnp(&child, command[0], NULL, NULL, command, NULL) == 0);
    MS_ASSERT(waitpid(child, &status, 0) == child && status == 0);
}

static void make_world(void) {
    const char *parent = getenv("TMPDIR");
    struct ms_store_options options;
    struct ms_txns_options txns = {.env = ms_env_system()};
    struct ms_groups_options groups = {.env = ms_env_system(), .groups_max = 100};
    snprintf(world.dir, sizeof world.dir, "%s/fuzz-kafka-XXXXXX", parent ? parent : "/tmp");
    MS_ASSERT(mkdtemp(world.dir) != NULL);
    ms_store_options_init(&options);
    options.env = ms_env_system();
    options.dir = world.dir;
    options.durability = MS_DURABILITY_OS;
    options.buffered_writes = true;
    options.segment_bytes = (uint64_t)1 << 20;
    options.topics_max = 40;
    options.head_cache_entries = options.idempotence_window = 1024;
    MS_ASSERT(ms_store_open(&options, &world.store, NULL) == 0);
    MS_ASSERT(ms_txn_service_new(world.store, &txns, &world.txns, NULL) == 0);
    struct ms_group_txns group_txns = ms_txn_service_group_txns(world.txns);
    MS_ASSERT(ms_group_service_start(world.store, &groups, &group_txns, &world.groups, NULL) == 0);
    MS_ASSERT(ms_txn_service_start(world.txns, ms_group_service_groups(world.groups), NULL) == 0);
    world.open = start_face(false);
    world.locked = start_face(true);
    atexit(remove_world);
}

/* ---- a client ---- */

static int connect_to(struct ms_kafka *kafka) {
    char address[MS_KAFKA_ADDRESS_MAX];
    uint64_t port;
    ms_kafka_address(kafka, address);
    MS_ASSERT(ms_parse_u64(ms_bytes_cstr(strrchr(address, ':') + 1), &port) == 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    MS_ASSERT(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    return fd;
}

/* In pieces; the server may have closed the connection meanwhile. */
static void send_all(int fd, struct ms_bytes bytes, size_t piece) {
    for (size_t at = 0; at < bytes.len;) {
        size_t len = bytes.len - at < piece ? bytes.len - at : piece;
        ssize_t sent = send(fd, bytes.data + at, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        at += (size_t)sent;
    }
}

static bool is_ready(int fd, int wait_ms) {
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    int rc;
    do { /* the fuzzer has a timer of its own */
        rc = poll(&waiting, 1, wait_ms);
    } while (rc < 0 && errno == EINTR);
    return rc == 1;
}

/* Until the server closes, or says nothing for a while. */
static void receive_all(int fd, struct ms_buf *out) {
    uint8_t bytes[4096];
    while (is_ready(fd, QUIET_MS)) {
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        if (got <= 0)
            return;
        MS_ASSERT(ms_buf_append(out, bytes, (size_t)got) == 0);
    }
}

static size_t frame_end(struct ms_bytes answers, size_t at) {
    uint32_t size = answers.len - at >= 4 ? ms_get_be32(answers.data + at) : 0;
    return size >= 4 && size <= answers.len - at - 4 ? at + 4 + size : 0;
}

static void expect_service(void) {
    struct ms_buf out;
    uint8_t probe[] = {0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff};
    int fd = connect_to(world.open);
    ms_buf_init(&out, ANSWERS_MAX);
    send_all(fd, ms_bytes_of(probe, sizeof probe), sizeof probe);
    shutdown(fd, SHUT_WR);
    MS_ASSERT(is_ready(fd, -1));
    receive_all(fd, &out);
    MS_ASSERT(out.len > 10 && frame_end(ms_buf_bytes(&out), 0) == out.len);
    MS_ASSERT(ms_get_be32(out.data + 4) == 7 && ms_get_be16(out.data + 8) == 0);
    ms_buf_deinit(&out);
    close(fd);
}

/* ---- requests ---- */

struct conversation {
    struct ms_buf bytes;
    bool before_login[REQUESTS_MAX]; /* may be answered to strangers */
    int32_t count;
};

/* The header a client would send. */
static void put_frame(struct conversation *c, const struct ms_kafka_api *api, int16_t version,
                      struct ms_bytes body) {
    uint8_t head[15] = {0};
    bool tags = version >= api->flexible && api->key != 18;
    size_t len = tags || (api->key == 18 && version >= 3) ? 15 : 14;
    ms_put_be32(head, (uint32_t)(len - 4 + body.len));
    ms_put_be16(head + 4, (uint16_t)api->key);
    ms_put_be16(head + 6, (uint16_t)version);
    ms_put_be32(head + 8, (uint32_t)(FIRST_CORRELATION + c->count));
    MS_ASSERT(ms_buf_append(&c->bytes, head, len) == 0);
    MS_ASSERT(ms_buf_append_bytes(&c->bytes, body) == 0);
    c->before_login[c->count++] = api->key == 18 || api->key == 17 || api->key == 36;
}

static void put_requests(struct conversation *c, struct ms_bytes rest) {
    while (rest.len >= 4 && c->count < REQUESTS_MAX) {
        const struct ms_kafka_api *api = &ms_kafka_apis[rest.data[0] % ms_kafka_api_count];
        int16_t version =
            (int16_t)(api->decode_min + rest.data[1] % (api->max - api->decode_min + 1));
        size_t len = ms_get_be16(rest.data + 2);
        rest = ms_bytes_of(rest.data + 4, rest.len - 4);
        len = len < rest.len ? len : rest.len;
        put_frame(c, api, version, ms_bytes_of(rest.data, len));
        rest = ms_bytes_of(rest.data + len, rest.len - len);
    }
}

static void check_answers(const struct conversation *c, struct ms_bytes answers, bool locked) {
    int32_t last = -1;
    for (size_t at = 0, end; at < answers.len && (end = frame_end(answers, at)) > 0; at = end) {
        int32_t n = (int32_t)(ms_get_be32(answers.data + at + 4) - FIRST_CORRELATION);
        if (c->count == 0)
            continue;
        MS_ASSERT(n > last && n < c->count);
        MS_ASSERT(!locked || c->before_login[n]);
        last = n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct conversation c;
    struct ms_buf answers;
    if (size < 2 || size > FRAME_MAX)
        return 0;
    if (world.store == NULL)
        make_world();
    bool locked = (data[0] & LOCKED) != 0;
    struct ms_bytes rest = ms_bytes_of(data + 2, size - 2);
    c.count = 0;
    ms_buf_init(&c.bytes, 2 * FRAME_MAX);
    if (data[0] & FRAMED)
        put_requests(&c, rest);
    else
        MS_ASSERT(ms_buf_append_bytes(&c.bytes, rest) == 0);
    int fd = connect_to(locked ? world.locked : world.open);
    send_all(fd, ms_buf_bytes(&c.bytes), data[1] == 0 ? SIZE_MAX : data[1]);
    shutdown(fd, SHUT_WR);
    ms_buf_init(&answers, ANSWERS_MAX);
    receive_all(fd, &answers);
    close(fd);
    check_answers(&c, ms_buf_bytes(&answers), locked);
    ms_buf_deinit(&answers);
    ms_buf_deinit(&c.bytes);
    if (data[0] & ASK_AFTERWARDS)
        expect_service();
    return 0;
}
