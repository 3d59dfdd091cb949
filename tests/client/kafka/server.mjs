// A server with the Kafka face; everything else is as in the tests of HTTP.

import { Server, serve } from '../http/server.mjs';

export { fresh } from '../http/server.mjs';

export class KafkaServer extends Server {
  constructor(args = [], kafka = '127.0.0.1:0') {
    // Groups of the tests don't wait for members that come late, and their members are heard often.
    const quick = ['--groups-initial-rebalance-delay', '0s', '--groups-consumer-heartbeat-interval', '200ms'];
    super(['--kafka', kafka, ...quick, ...args]);
  }

  // "127.0.0.1:PORT", which is what clients call a list of brokers.
  get brokers() {
    return this.addresses.kafka;
  }

  get kafkaPort() {
    return Number(this.brokers.split(':').at(-1));
  }

  // The same data under the same address, as after a restart of the machine.
  async restart(signal) {
    const address = this.brokers;
    await this.stop(signal);
    this.args[this.args.indexOf('--kafka') + 1] = address;
    await this.start();
  }
}

export function serveKafka(options = {}) {
  return serve({ ...options, server: new KafkaServer(options.args) });
}
