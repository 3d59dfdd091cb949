// The classic EventStore interface on Mainstem: nothing but fetch.
//
//   appendEvents(stream, events, expectedVersion)   the new version; throws Conflict
//   readEvents(stream, from)                        the events of a stream, from a version on
//   readAllEvents(from, max)                        events of all streams in order, and what is next
// expectedVersion: a version, NO_STREAM, or ANY. Versions count from 0.
import { randomUUID } from 'node:crypto';
export const NO_STREAM = -1;
export const ANY = null;

export class Conflict extends Error {
  constructor(problem) {
    super(problem.detail);
    this.actual = problem.actual ?? NO_STREAM;
  }
}

function condition(version) {
  if (version === ANY) return {};
  return version === NO_STREAM ? { 'If-None-Match': '*' } : { 'If-Match': `"${version}"` };
}

export class EventStore {
  constructor(url) {
    this.url = url;
  }

  async request(path, options) {
    const answer = await fetch(this.url + path, options);
    const body = await answer.json();
    if (answer.status === 412) throw new Conflict(body);
    if (!answer.ok && answer.status !== 404) throw new Error(`${answer.status} ${body.detail}`);
    return { body: answer.ok ? body : [], headers: answer.headers };
  }

  // The ids are made once, so a caller that got no answer may send the same events again.
  async appendEvents(stream, events, expectedVersion = ANY) {
    for (const event of events) event.event_id ??= randomUUID();
    const headers = { 'Content-Type': 'application/json', ...condition(expectedVersion) };
    const path = `/v1/streams/${encodeURIComponent(stream)}`;
    const body = JSON.stringify(events);
    return (await this.request(path, { method: 'POST', headers, body })).body.version;
  }

  async readEvents(stream, from = 0) {
    const found = [];
    for (;;) {
      const path = `/v1/streams/${encodeURIComponent(stream)}?from=${from}&limit=1000`;
      const { body, headers } = await this.request(path);
      found.push(...body);
      if (!headers.get('Link')) return found;
      from = headers.get('Mainstem-Next');
    }
  }

  async readAllEvents(from = 0, max = 100) {
    const { body, headers } = await this.request(`/v1/events?from=${from}&limit=${max}`);
    return { events: body, next: Number(headers.get('Mainstem-Next')) };
  }
}
