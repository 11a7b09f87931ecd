/**
 * `explain` beside a running server: what it says is what the server answers.
 *
 * Enters: subscribers in every state. Leaves: the explanation and the packet. Invariant: they agree, attribute by attribute.
 */
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { decodeAttributes } from '../../src/radius/decode-attribute.js';
import { loadDictionary } from '../../src/radius/dictionary-file.js';
import { Code } from '../../src/radius/code.js';
import type { Packet } from '../../src/radius/packet.js';
import { freshDatabase } from '../support/database.js';
import { RadiusClient, accessRequest } from '../support/radius-client.js';
import { TestServer } from '../support/server.js';
import { until } from '../support/until.js';
import { runIn } from './command-line.js';

const { dictionary } = loadDictionary(fileURLToPath(new URL('../../dictionaries/dictionary', import.meta.url)));

interface Explained {
  readonly answer: 'accept' | 'reject';
  readonly reason: string | null;
  readonly answer_state: string | null;
  readonly sentence: string;
  readonly address: { source: string; address: string | null; pool: string | null; free: number | null } | null;
  readonly attributes: readonly { name: string; value: string | number | null }[];
  readonly flags: readonly { flag: string; value: boolean; reason: string | null; changed_by: string | null }[];
}

/** What a reply says, without the signatures; Session-Timeout apart, since it counts down. */
function saidBy(reply: Packet): string[] {
  return decodeAttributes(dictionary, reply)
    .map((attribute) => [attribute.name, attribute.text.replace(/^"(.*)"$/u, '$1')] as const)
    .filter(([name]) => !['Message-Authenticator', 'Class', 'Reply-Message', 'Session-Timeout'].includes(name))
    .map(([name, text]) => `${name}=${text}`)
    .sort();
}

function saidByExplanation({ attributes }: Explained): string[] {
  return attributes
    .filter(({ name, value }) => value !== null && !['Class', 'Session-Timeout'].includes(name))
    .map(({ name, value }) => `${name}=${String(value)}`)
    .sort();
}

t.test('explain says what the server answers, in every state', async (t) => {
  const database = await freshDatabase(t);
  const server = await TestServer.start(t, { databaseUrl: database.url });
  const client = await RadiusClient.open(server.authPort);
  t.teardown(() => client.close());
  const run = async (...argv: string[]) => {
    const result = await runIn(['--conf', server.confDir, '--data', server.dataDir, ...argv], {
      stdin: 'wonderland\n',
    });
    t.equal(result.code, 0, `${argv.join(' ')} ${result.stderr}`);
    return result;
  };
  await run('pool', 'add', 'main', '100.64.0.0/24');
  await run('plan', 'add', 'home', '--down', '50M', '--up', '10M');
  await run('plan', 'add', 'pooled', '--down', '50M', '--pool', 'main');
  await run('plan', 'add', 'ending', '--valid-until', '2099-01-01');
  await run('subscriber', 'add', 'alice', '--plan', 'home', '--ip', '100.64.9.9', '--password-stdin');

  let identifier = 0;
  const ask = async () => {
    identifier = (identifier + 1) % 256;
    const request = accessRequest({ secret: server.secret, userName: 'alice', password: 'wonderland', identifier });
    return await client.ask(request, { timeoutMs: 4000, attempts: 2 });
  };
  const table: [change: string[], expected: Partial<Explained>, sentence: RegExp][] = [
    [
      ['name=A'],
      { answer: 'accept', answer_state: 'active' },
      /^'alice' on localhost is accepted \(with the right password\) under the plan home with its static address 100\.64\.9\.9$/u,
    ],
    [
      ['redirect=true', 'reason=owes 300'],
      { answer: 'accept', answer_state: 'redirect' },
      /is accepted into the state redirect \(owes 300\)/u,
    ],
    [
      ['own_disabled=true', 'reason=on holiday'],
      { answer: 'reject', reason: 'own-disabled' },
      /is rejected: .*\(on holiday\)$/u,
    ],
    [
      ['admin_blocked=true', 'reason=fraud'],
      { answer: 'reject', reason: 'admin-blocked' },
      /is rejected: blocked by the administration \(fraud\)$/u,
    ],
    [
      ['admin_blocked=false', 'own_disabled=false', 'redirect=false', 'nas=bras9'],
      { answer: 'reject', reason: 'nas-binding' },
      /is rejected: the subscriber belongs to another NAS$/u,
    ],
    [['nas=', 'plan='], { answer: 'reject', reason: 'no-plan' }, /is rejected: the account has no plan$/u],
    [['plan=ending'], { answer: 'accept', answer_state: 'active' }, /under the plan ending/u],
    [
      ['plan=pooled', 'ip='],
      { answer: 'accept', answer_state: 'active' },
      /with an address of the pool main, which has 254 left$/u,
    ],
  ];
  const check = async (change: string, expected: Partial<Explained>, sentence: RegExp): Promise<string[]> => {
    const explained = (await run('explain', 'alice', '--json')).json<Explained>();
    t.match(explained, expected, change);
    t.match(explained.sentence, sentence);
    const pooled = explained.address?.source === 'pool';
    const said = saidByExplanation(explained).filter((text) => !pooled || !text.startsWith('Framed-IP-Address='));
    let answered: string[] = [];
    // The server follows the database by its feed, within moments.
    await until(async () => {
      const reply = await ask();
      const isAccept = reply?.code === Code.accessAccept;
      answered = reply === undefined ? ['nothing'] : isAccept ? saidBy(reply) : [];
      const comparable = answered.filter((text) => !pooled || !text.startsWith('Framed-IP-Address='));
      return isAccept === (explained.answer === 'accept') && JSON.stringify(comparable) === JSON.stringify(said);
    }).catch(() => undefined);
    t.same(
      answered.filter((text) => !pooled || !text.startsWith('Framed-IP-Address=')),
      said,
      `the packet agrees: ${change}`,
    );
    return answered;
  };
  for (const [change, expected, sentence] of table) {
    await run('subscriber', 'set', 'alice', ...change);
    await check(change.join(' '), expected, sentence);
  }
  await database.pool.query(
    "UPDATE subscriber SET turbo_rate_down_bps = 123000000, turbo_until = now() + interval '1 hour' WHERE login = 'alice'",
  );
  const turbo = await check('turbo', { answer: 'accept' }, /under the plan pooled/u);
  t.match(turbo.join(), /123000k/u, 'the rate is that of turbo');

  const explained = (await run('explain', 'alice', '--json')).json<Explained>();
  t.match(
    explained.flags.find((flag) => flag.flag === 'redirect'),
    { value: false, changed_by: 'cli/tester' },
  );
  await run('subscriber', 'delete', 'alice', '--reason', 'moved');
  const gone = (await run('explain', 'alice', '--json')).json<Explained>();
  t.match(gone, { answer: 'reject' });
  t.equal(gone.sentence, `'alice' on localhost is rejected: the subscriber is deleted (moved)`);
  const text = (await run('explain', 'alice')).stdout;
  t.match(text, /last changes\n {2}.* deleted: false -> true by cli\/tester because: moved/u);

  const stopped = await server.kill('SIGTERM');
  t.same(stopped, { code: 0, signal: null }, 'SIGTERM drains and ends in 0');
});
