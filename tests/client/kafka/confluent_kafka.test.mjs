import { play } from './workload.mjs';

play('confluent-kafka');
