# Steps of bench/run: read models. Sourced by it.
# shellcheck shell=bash disable=SC2154

start_postgres() { # sets postgres and conninfo
    local binaries data=$work/pg as_user=()
    binaries=$(compgen -G '/usr/lib/postgresql/*/bin' | tail -1)
    conninfo="host=@mainstem-bench-$$ port=5432 user=bench dbname=postgres"
    mkdir "$data"
    if [[ $(id -u) = 0 ]]; then # PostgreSQL refuses to run as root
        chown postgres "$data"
        as_user=(setpriv --reuid=postgres --regid=postgres --clear-groups)
    fi
    (cd "$data" && "${as_user[@]}" "$binaries/initdb" -D "$data/data" -A trust -U bench -E UTF8 \
        --locale=C >/dev/null)
    (cd "$data" && exec "${as_user[@]}" "$binaries/postgres" -D "$data/data" \
        -c listen_addresses= -c "unix_socket_directories=@mainstem-bench-$$" \
        -c shared_buffers=256MB -c max_wal_size=4GB) >"$work/pg.log" 2>&1 &
    postgres=$!
    for _ in $(seq 100); do
        "$binaries/pg_isready" -q -d "$conninfo" && return
        sleep 0.1
    done
    say "PostgreSQL did not start: $(tail -1 "$work/pg.log")"
    stop_postgres
    return 1
}

stop_postgres() {
    kill -INT "$postgres" 2>/dev/null
    wait "$postgres" 2>/dev/null
    postgres=
    rm -rf "$work/pg"
}

# How soon what is appended over HTTP is seen, at a steady rate.
over_http_seen() { # peer mode
    "$BUILD"/bench/bench-visible --port "$port" --secs "$SECS" --server-pid "$server" \
        --peer "$1" --mode "$2" --rate "${PROJECTION_RATE:-2000}" | record
}

# The same server: first without the projection, to see what of it the append is.
visible() { # peer target mode
    if start_server; then
        [[ $3 = seen ]] && over_http_seen "$1" append
        { printf -- '-- target: %s\n-- mode: %s\n' "$2" "${3/seen/async}" && cat bench/sales.sql; } \
            >"$work/sales.sql"
        if "$BUILD"/mainstem projection deploy "$work/sales.sql" --server "http://127.0.0.1:$port" \
            >/dev/null; then
            over_http_seen "$1" "$3"
            "$BUILD"/mainstem projection drop sales --yes --server "http://127.0.0.1:$port" >/dev/null
        fi
    fi
    stop_server
}

visible_everywhere() {
    say "how soon appends are seen: SQLite"
    visible "mainstem, SQLite" sqlite seen
    visible "mainstem, SQLite" sqlite sync
    [[ -n $postgres ]] || return
    say "how soon appends are seen: PostgreSQL"
    export MAINSTEM_PROJECTIONS_POSTGRES=$conninfo
    visible "mainstem, PostgreSQL" postgres seen
    visible "mainstem, PostgreSQL" postgres sync
    unset MAINSTEM_PROJECTIONS_POSTGRES
}

rates() {
    local bench=("$BUILD/bench/bench-projection" --dir "$work")
    local events=${PROJECTION_EVENTS:-1000000}
    say "projections: SQLite"
    "${bench[@]}" --target sqlite --events "$events" rebuild live | record
    [[ -n $postgres ]] || return
    say "projections: PostgreSQL"
    bench+=(--target postgres --conninfo "$conninfo")
    "${bench[@]}" --events $((events / 2)) rebuild live | record
    "${bench[@]}" --events $((events / 200)) client | record
}

# Emmett is installed when it is wanted, which compiles sqlite3 where there is nothing to download.
have_emmett() {
    have "projections: Emmett" node npm || return
    [[ -e bench/emmett/node_modules/sqlite3/build/Release/node_sqlite3.node ]] && return
    say "installing Emmett (npm ci in bench/emmett)"
    (cd bench/emmett && timeout 600 npm ci --silent) >"$work/npm.log" 2>&1 && return
    skip "projections: Emmett (npm ci failed: $(tail -1 "$work/npm.log"))"
    return 1
}

emmett_turn() { # round events-per-append events
    "$BUILD/bench/bench-projection" --events "$3" events >"$work/events.jsonl"
    rm -f "$work"/emmett-*
    node bench/emmett/bench.mjs "$work" "$work/events.jsonl" "$2" | in_round "$1"
    "$BUILD/bench/bench-projection" --dir "$work" --target sqlite --events "$3" --batch "$2" live |
        in_round "$1"
}

beside_emmett() {
    local round
    have_emmett || return
    for round in $(seq "$ROUNDS"); do
        say "projections: in turns with Emmett, round $round of $ROUNDS"
        emmett_turn "$round" 1 2000
        emmett_turn "$round" 100 20000
    done
}

with_postgres() { # function…
    local part
    have "projections: PostgreSQL" '/usr/lib/postgresql/*/bin/initdb' && start_postgres
    for part; do
        "$part"
    done
    [[ -z $postgres ]] || stop_postgres
}

step_projection() { with_postgres rates visible_everywhere beside_emmett; }
step_seen() { with_postgres visible_everywhere; }
