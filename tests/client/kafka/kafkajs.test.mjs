import { play } from './workload.mjs';

play('kafkajs');
