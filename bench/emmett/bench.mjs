// Emmett's SQLite event store with a raw SQL projection: the upsert of bench/sales.sql for each event.
//
//     node bench.mjs DIRECTORY EVENTS.jsonl APPEND
//
// EVENTS.jsonl is what `bench-projection events` prints: {"key":"7919","data":{…}}. APPEND events
// are appended at a time, which are of one stream, since that is what an append is there; the next
// one begins when it is answered. The projection is inline: its statements run in the transaction
// of the append, so what is answered is in the table. Prints one line of JSON (bench/measure.h).

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getSQLiteEventStore, sqliteRawSQLProjection } from '@event-driven-io/emmett-sqlite';
import { projections } from '@event-driven-io/emmett';
import sqlite3 from 'sqlite3';

const [directory, file, size] = process.argv.slice(2);
const perAppend = Number(size);
const fileName = join(directory, `emmett-${perAppend}.db`);

const events = readFileSync(file, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));

const text = (value) => `'${String(value).replaceAll("'", "''")}'`;

const sales = sqliteRawSQLProjection({
  canHandle: ['order.placed'],
  initSQL: `create table sales (customer text primary key, orders bigint not null,
    cents bigint not null, city text, updated_at text not null)`,
  evolve: ({ data, metadata }) => `
    insert into sales (customer, orders, cents, city, updated_at)
      values (${text(metadata.key)}, 1, ${Number(data.items[0].cents)}, ${text(data.city)},
        ${text(metadata.at)})
      on conflict (customer) do update set orders = sales.orders + 1,
        cents = sales.cents + excluded.cents, city = excluded.city,
        updated_at = excluded.updated_at`,
});

const store = getSQLiteEventStore({ fileName, projections: projections.inline([sales]) });

function append(from) {
  const some = events.slice(from, from + perAppend).map(({ key, data }) => ({
    type: 'order.placed',
    data,
    metadata: { key, at: new Date().toISOString() },
  }));
  const stream = perAppend === 1 ? `order-${events[from].key}` : `order-batch${from}`;
  return store.appendToStream(stream, some);
}

// The schema is made with the first append, which is not measured.
await append(0);
const cpu = process.cpuUsage();
const began = process.hrtime.bigint();
for (let from = perAppend; from < events.length; from += perAppend) await append(from);
const secs = Number(process.hrtime.bigint() - began) / 1e9;
const { user, system } = process.cpuUsage(cpu);

// The table must say what was appended.
const db = new sqlite3.Database(fileName);
const total = await new Promise((resolve, reject) => {
  db.get('select sum(orders) as n from sales', (error, row) => (error ? reject(error) : resolve(row.n)));
});
if (total !== events.length) throw new Error(`${total} of ${events.length} events are in the table`);

const n = events.length - perAppend;
const result = {
  wl: 'live',
  peer: 'emmett, SQLite',
  cfg: `300 B, 20000 rows, batches of ${perAppend}`,
  n,
  secs: Number(secs.toFixed(3)),
  eps: Number((n / secs).toFixed(1)),
  srv_cpu_per_M: Number((((user + system) / n) * 1).toFixed(2)),
};
console.log(JSON.stringify(result));
await store.close?.();
process.exit(0);
