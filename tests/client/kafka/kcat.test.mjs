import { play } from './workload.mjs';

play('kcat');
