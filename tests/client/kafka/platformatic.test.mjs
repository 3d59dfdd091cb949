import { play } from './workload.mjs';

play('@platformatic/kafka');
