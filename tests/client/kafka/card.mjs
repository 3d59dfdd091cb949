// The compatibility card: what each client was seen to do. A line of JSON for each claim goes to
// kafka-card.jsonl beside the server's program; tools/kafka-card makes docs/kafka.md's table of it.

import { appendFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { binary } from '../http/server.mjs';

const file = process.env.MAINSTEM_KAFKA_CARD ?? join(dirname(binary), 'kafka-card.jsonl');

// result: "works", "fails", "lacks" (the client can't) or "skipped" (the server doesn't offer it)
// `n` is the feature's place in the table.
export function note(client, version, { n, feature }, result, why) {
  const line = { client: client.name, version, n, feature, result, ...(why ? { why } : {}) };
  appendFileSync(file, `${JSON.stringify(line)}\n`);
}

// A test case of one client and one feature. What it throws is its result.
export function claim({ client, version, row, name, skip }, body) {
  const lacks = client.lacks[row.feature];
  if (lacks) {
    note(client, version(), row, 'lacks', lacks);
    return;
  }
  test(`${client.name}: ${name}`, async (t) => {
    const why = skip?.();
    if (why) {
      note(client, version(), row, 'skipped', why);
      t.skip(why);
      return;
    }
    try {
      await body(t);
      note(client, version(), row, 'works');
    } catch (error) {
      note(client, version(), row, 'fails', error.message.split('\n')[0]);
      throw error;
    }
  });
}
