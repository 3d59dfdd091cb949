// A PostgreSQL server for the tests of a file, in a directory of its own. It listens on an abstract
// socket, so there is no port that could be somebody else's, and runs as another user when we are root,
// as it demands.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

const PLACE = '/usr/lib/postgresql';
const START_MS = 60_000;

function binaries() {
  const versions = existsSync(PLACE) ? readdirSync(PLACE).map(Number) : [];
  const newest = versions.sort((a, b) => b - a).find((one) => existsSync(join(PLACE, `${one}/bin/initdb`)));
  return newest && join(PLACE, `${newest}/bin`);
}

function somebody() {
  if (process.getuid() !== 0) return {};
  const id = (option) => Number(execFileSync('id', [option, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

// Its connection string; undefined, and a test that says that it was skipped, where there is none.
export async function startPostgres() {
  const programs = binaries();
  if (!programs) {
    test('the same on PostgreSQL', { skip: 'PostgreSQL is not installed' }, () => {});
    return undefined;
  }
  const user = somebody();
  const directory = mkdtempSync(join(tmpdir(), 'mainstem-postgres-'));
  if (user.uid) chownSync(directory, user.uid, user.gid);
  const run = { cwd: directory, stdio: 'ignore', ...user };
  const socket = `@mainstem-http-${process.pid}`;
  const conninfo = `host=${socket} port=5432 user=keeper dbname=postgres`;
  execFileSync(
    join(programs, 'initdb'),
    ['-D', 'data', '-A', 'trust', '-U', 'keeper', '-E', 'UTF8', '--locale=C', '--no-sync'],
    run,
  );
  const child = spawn(
    join(programs, 'postgres'),
    ['-D', 'data', '-c', 'listen_addresses=', '-c', `unix_socket_directories=${socket}`],
    run,
  );
  const exit = once(child, 'exit');
  after(async () => {
    child.kill('SIGQUIT');
    await exit;
    rmSync(directory, { recursive: true, force: true });
  });
  const isReady = () => {
    try {
      execFileSync(join(programs, 'pg_isready'), ['-q', '-d', conninfo]);
      return true;
    } catch {
      return false;
    }
  };
  for (const deadline = Date.now() + START_MS; !isReady(); await sleep(20)) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error('PostgreSQL did not start');
  }
  return conninfo;
}
