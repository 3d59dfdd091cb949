import { play } from './workload.mjs';

play('node-rdkafka');
