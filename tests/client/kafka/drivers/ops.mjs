// The loop of the drivers that are written in JavaScript; ../driver.mjs says what is spoken.

import { createInterface } from 'node:readline';

export const encode = (bytes) => (bytes == null ? null : Buffer.from(bytes).toString('base64'));
export const decode = (text) => (text == null ? null : Buffer.from(text, 'base64'));

// Records that have come and were not taken yet.
export class Inbox {
  #records = [];
  #wake = () => {};

  add(record) {
    this.#records.push(record);
    this.#wake();
  }

  async take(count, ms) {
    const deadline = Date.now() + ms;
    while (this.#records.length < count && Date.now() < deadline) {
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, deadline - Date.now());
        this.#wake = () => {
          if (this.#records.length < count) return;
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this.#records.splice(0, count);
  }

  clear() {
    this.#records = [];
  }
}

export function serveOps(ops) {
  const lines = createInterface(process.stdin);
  lines.on('line', async (line) => {
    const { id, op, ...args } = JSON.parse(line);
    let answer;
    try {
      if (!ops[op]) throw new Error(`the driver has no ${op}`);
      answer = { id, ok: (await ops[op](args)) ?? null };
    } catch (error) {
      const text = error.errors?.map((one) => one.message).join('; ') || error.message;
      answer = { id, error: `${error.code ?? error.type ?? error.name}: ${text}` };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  });
  lines.on('close', () => process.exit(0));
}
