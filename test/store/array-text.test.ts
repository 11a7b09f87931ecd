// Arrays of numbers as text: PostgreSQL reads them as it reads the driver's.

import t from 'tap';
import { numberArray } from '../../src/store/array-text.js';
import { freshDatabase } from '../support/database.js';

t.test('numbers and NULLs come back as they went in', async (test) => {
  const { pool } = await freshDatabase(test);
  const values = [0, -1, 1, null, 2 ** 53 - 1, -(2 ** 53 - 1)];
  const { rows } = await pool.query<{ list: unknown }>('SELECT $1::bigint[] AS list', [numberArray(values)]);
  test.same(rows[0]?.list, values);
  const fractions = [0.5, -1e-7, 1.7e12 + 0.25, 1e21, null];
  const read = await pool.query<{ list: unknown }>('SELECT $1::float8[] AS list', [numberArray(fractions)]);
  test.same(read.rows[0]?.list, fractions);
  test.equal(numberArray([]), '{}');
});

t.test('what is no number is refused, not stored', async (test) => {
  for (const wrong of [NaN, Infinity, -Infinity]) test.throws(() => numberArray([1, wrong]), RangeError);
});
