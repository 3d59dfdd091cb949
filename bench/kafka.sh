# Steps of bench/run: Kafka's clients against the Kafka face. Sourced by it.
# shellcheck shell=bash disable=SC2154

have_bench_kafka() {
    [[ -x $BUILD/bench/bench-kafka ]] && return
    skip "Kafka (no librdkafka when this was built)"
    return 1
}

start_kafka() { # sets kafka, where it listens
    start_server --kafka 127.0.0.1:0 || return
    kafka=$(sed -n 's/.*"kafka":"\([0-9.:]*\)".*/\1/p' "$work/ready")
    [[ -n $kafka ]] || say "no Kafka in $(tr '\n' ' ' <"$work/ready")"
    [[ -n $kafka ]]
}

make_topic() { # name partitions
    curl -sf -X PUT "http://127.0.0.1:$port/v1/topics/$1" -H 'content-type: application/json' \
        -d "{\"partitions\": $2, \"streams\": false}" >/dev/null || say "topic $1 can't be made"
}

over_kafka() { # topic config argument…
    local topic=$1 config=$2
    shift 2
    "$BUILD"/bench/bench-kafka --brokers "$kafka" --topic "$topic" --config "$config" \
        --server-pid "$server" "$@"
}

partitions_step() { # partitions
    make_topic "t$1" "$1"
    over_kafka "t$1" "$1 partitions" --partitions "$1" --records "$records" produce | record
    over_kafka "t$1" "$1 partitions, never read before" --partitions "$1" --records "$records" \
        consume | record
    over_kafka "t$1" "$1 partitions, read again" --partitions "$1" --records "$records" consume |
        record
}

# One producer and one consumer at once; and one of 1,000 partitions that lie between each other.
thousand_step() {
    local n
    for n in 1 1000; do
        make_topic "both$n" "$n"
        over_kafka "both$n" "$n partitions, linger 100" --partitions "$n" --run 1 --linger 100 \
            --records "$records" both | record
    done
    make_topic large 1000
    over_kafka large "1000 partitions, 3000 bytes" --partitions 1000 --run 1 --linger 100 \
        --size 3000 --records 2000000 produce | record
    over_kafka large "one of 1000 interleaved partitions, 3000 bytes, never read before" \
        --first 500 --size 3000 --records 2000 consume | record
    over_kafka large "another one of them" --first 77 --size 3000 --records 2000 consume | record
}

step_kafka() {
    local records=${KAFKA_RECORDS:-4000000}
    have_bench_kafka || return
    say "Kafka"
    if start_kafka; then
        over_kafka idle "" --connections 1000 idle | record
        make_topic latency 1
        over_kafka latency "5000/s" --records $((SECS * 5000 + 5000)) latency | record
        partitions_step 1
        partitions_step 12
    fi
    stop_server
    start_kafka && thousand_step
    stop_server
}

# Fetches that wait for a partition in which nothing happens.
step_longpoll() {
    local writers
    say "long polls over Kafka: lateness after their deadlines"
    if start_kafka; then
        make_topic quiet 1
        make_topic busy 1
        for writers in 0 1; do
            say "$writers writers: $("$BUILD"/bench/bench-longpoll --port "${kafka##*:}" \
                --quiet quiet --busy busy --writers "$writers" --seconds "$SECS")"
        done
    fi
    stop_server
}

# ---- in turns with those that don't sync ----

peer_of_streams() { # redis | nats: publishes a million and reads them
    (
        export W=$work/peers OUT=$out SECS WARM=${WARM:-1}
        # shellcheck disable=SC1091
        . "$PEERS/lib.sh"
        set +u
        [[ -x $BIN/w_redis ]] || build
        if [[ $1 == redis ]]; then
            redis_start everysec
            "$BIN/w_redis" w2 "pipelined XADD, appendfsync everysec, window 1000" 1000
            "$BIN/w_redis" w3read "XREAD COUNT 500" 500
            redis_stop
        else
            nats_start
            "$BIN/w_nats" w2 "js_PublishAsync, window 1000" 1000
            "$BIN/w_nats" w3 "push, ordered consumer, no acks" 0 push
            nats_stop
        fi
    ) 2>/dev/null
}

peer_latency() { # redis | nats: 5,000 a second
    (
        export W=$work/peers OUT=$out SECS WARM=${WARM:-1}
        # shellcheck disable=SC1091
        . "$PEERS/lib.sh"
        set +u
        if [[ $1 == redis ]]; then
            redis_start always
            "$BIN/w_redis" w4 "XADD -> blocking XREAD, appendfsync always, 5000/s" 5000
            redis_stop
        else
            nats_start
            "$BIN/w_nats" w4 "async publish -> ordered push consumer, 5000/s" 5000
            nats_stop
        fi
    ) 2>/dev/null
}

step_kafka_versus() {
    local round
    have_bench_kafka || return
    if [[ ! -r $PEERS/lib.sh ]]; then
        skip "kafka_versus (no $PEERS/lib.sh)"
        return
    fi
    have "kafka_versus" gcc redis-server nats-server '/usr/include/hiredis/hiredis.h' \
        '/usr/include/nats/nats.h' || return
    for round in $(seq "$ROUNDS"); do
        say "Kafka in turns: round $round of $ROUNDS"
        { peer_of_streams redis; peer_of_streams nats; } | in_round "$round"
        { peer_latency redis; peer_latency nats; } | in_round "$round"
        if start_kafka; then
            make_topic turn 1
            make_topic latency 1
            {
                over_kafka turn "1 partition" --records 1000000 produce
                over_kafka turn "1 partition" --records 1000000 consume
                over_kafka latency "5000/s" --records $((SECS * 5000 + 5000)) latency
            } | in_round "$round"
        fi
        stop_server
    done
}
