import { play } from './workload.mjs';

play('kafka-python');
