// An Order rebuilt from its events, and commands that try again when somebody was faster.
//
//   node order.mjs http://127.0.0.1:8080
import { randomUUID } from 'node:crypto';
import { Conflict, EventStore, NO_STREAM } from './eventstore.mjs';

class Order {
  version = NO_STREAM;
  status = 'none';
  total = 0;
  paid = 0;

  apply(event) {
    this.version = event.version;
    if (event.event_type === 'order.created') {
      this.status = 'open';
      this.total = event.data.total;
    }
    if (event.event_type === 'order.paid') this.paid += event.data.amount;
    if (event.event_type === 'order.shipped') this.status = 'shipped';
    return this;
  }

  pay(amount) {
    if (this.paid + amount > this.total) throw new Error('paid too much');
    return [{ event_type: 'order.paid', data: { amount } }];
  }

  ship() {
    if (this.status !== 'open' || this.paid < this.total) throw new Error('not paid');
    return [{ event_type: 'order.shipped', data: {} }];
  }
}

const store = new EventStore(process.argv[2] ?? 'http://127.0.0.1:8080');
const stream = `order-node-${randomUUID()}`;
let conflicts = 0;

const load = async () =>
  (await store.readEvents(stream)).reduce((order, event) => order.apply(event), new Order());

async function handle(decide) {
  for (;;) {
    const order = await load();
    try {
      return await store.appendEvents(stream, decide(order), order.version);
    } catch (error) {
      if (!(error instanceof Conflict)) throw error;
      conflicts++;
    }
  }
}

function check(holds, claim) {
  console.log(`${holds ? 'ok' : 'not ok'} - ${claim}`);
  if (!holds) process.exitCode = 1;
}

const refusal = (promise) => promise.then(() => undefined, (error) => error);
const created = { event_type: 'order.created', data: { total: 50 } };
check((await store.appendEvents(stream, [created], NO_STREAM)) === 0, 'the first event has version 0');
const second = await refusal(store.appendEvents(stream, [{ ...created, event_id: undefined }], NO_STREAM));
check(second instanceof Conflict && second.actual === 0, 'a second creation is a conflict, at 0');
check((await refusal(handle((order) => order.ship())))?.message === 'not paid', 'unpaid is not shipped');
await Promise.all(Array.from({ length: 5 }, () => handle((order) => order.pay(10))));
check((await load()).paid === 50, `five racing payments are all there, after ${conflicts} conflicts`);
check((await handle((order) => order.ship())) === 6, 'paid is shipped, at version 6');
const order = await load();
check(order.status === 'shipped' && order.version === 6, 'the order is rebuilt from its events');
const mine = [];
for (let from = 0; ; ) {
  const { events, next } = await store.readAllEvents(from, 1000);
  mine.push(...events.filter((event) => event.stream === stream));
  if (next === from) break;
  from = next;
}
check(mine.map((event) => event.version).join() === '0,1,2,3,4,5,6', 'all events have them in order');
