// Records for the workload.

export const bytes = (text) => (text === null ? null : Buffer.from(text));
export const record = (value, key = null, more = {}) => ({ key: bytes(key), value: bytes(value), ...more });
export const texts = (records) => records.map(({ value }) => value?.toString() ?? null);
export const numbered = (count, what = 'value') =>
  Array.from({ length: count }, (_, n) => record(`${what} ${n}`, `key ${n}`));
