import { play } from './workload.mjs';

play('rdkafka-new');
