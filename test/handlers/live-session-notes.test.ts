/** What memory learns from accounting at acknowledgement, before the subscribers are loaded and after. */
import t from 'tap';
import { LiveSessionNotes } from '../../src/app/live-session-notes.js';
import { Subscriber } from '../../src/domain/subscriber.js';
import type { IdentityRules } from '../../src/handlers/identity.js';
import { parsePacket } from '../../src/radius/packet.js';
import { Directory } from '../../src/store/directory.js';
import { fact } from '../support/facts.js';
import { accountingRequest } from '../support/radius-client.js';

const rules: IdentityRules = {
  identity: ['login'],
  option82Auth: 'port',
  realm: { handling: 'keep', suffixSeparators: '@', prefixSeparators: '', only: [] },
  mac: { formats: ['colon'], sources: ['Calling-Station-Id'] },
};

const alice = new Subscriber({
  id: 1,
  accountId: 1,
  login: 'alice',
  password: undefined,
  mac: undefined,
  staticAddress: undefined,
  poolId: undefined,
  nasName: undefined,
  associatePppoeMac: false,
  associateVpnIp: false,
  deleted: false,
  redirect: false,
  ownDisabled: false,
  adminBlocked: false,
});

t.test(
  'an update that came before the subscribers were loaded is told again, and then has its subscriber',
  async (t) => {
    const directory = new Directory();
    const { note } = new LiveSessionNotes(directory, () => rules);
    const early = fact('interim', { at: 300, sessionSeconds: 299, address: '100.64.0.1' });
    note(early);
    t.equal(directory.sessions.size, 1);
    directory.putSubscriber(alice);
    // The database knows the session, and when it began to the second before.
    directory.sessions.applyRow({
      nasName: 'bras1',
      nasBox: 'bras1',
      acctSessionId: 's1',
      sessionId: 7,
      slot: 0,
      subscriberId: 1,
      mac: undefined,
      nasPortId: undefined,
      address: 0x64400001,
      routingDomain: 'default',
      startedAtMs: early.eventAtMs - 300_000,
    });
    note(early);
    t.equal(directory.sessions.size, 1, 'still one session');
    t.match(directory.sessions.ofSubscriber(1), [{ acctSessionId: 's1' }], 'the session limit counts it');
  },
);

t.test('an Interim-Update is known when nothing in it can be news', async (t) => {
  const directory = new Directory();
  directory.putSubscriber(alice);
  const { note, isKnown } = new LiveSessionNotes(directory, () => rules);
  const origin = { nasName: 'bras1', routingDomain: 'default', sourceAddress: '10.0.0.2' };
  const known = (acctSessionId: string, framedIpAddress?: string): boolean => {
    const bytes = accountingRequest({
      secret: 'bench',
      status: 'interimUpdate',
      nasIdentifier: 'bras1',
      acctSessionId,
      ...(framedIpAddress === undefined ? {} : { framedIpAddress }),
    }).bytes;
    const parsed = parsePacket(bytes);
    return parsed.ok && isKnown(origin, parsed.packet);
  };
  t.notOk(known('s1'), 'a session that nobody has heard of');
  note(fact('start', { at: 100, address: null, login: 'nobody', acctSessionId: 's2' }));
  t.notOk(known('s2'), 'one that is nobody’s yet');
  note(fact('start', { at: 100, address: null }));
  t.ok(known('s1'));
  t.notOk(known('s1', '100.64.0.1'), 'its first address');
  note(fact('interim', { at: 400, sessionSeconds: 300, address: '100.64.0.1' }));
  t.ok(known('s1', '100.64.0.1'));
});
t.test(
  'prefixes that come with a later update are noted, and stay when another update is silent about them',
  async (t) => {
    const directory = new Directory();
    directory.putSubscriber(alice);
    const { note } = new LiveSessionNotes(directory, () => rules);
    const at = (seconds: number) => ({ at: seconds, sessionSeconds: seconds, address: '100.64.0.1' });
    const delegatedPrefix = '2001:db8:100::/56';
    const holders = () => directory.sessions.prefixHolders('default', delegatedPrefix).map((one) => one.subscriberId);
    note(fact('start', { at: 0, address: '100.64.0.1' }));
    t.same(holders(), []);
    note({ ...fact('interim', at(60)), delegatedPrefix });
    t.same(holders(), [1]);
    note({ ...fact('interim', at(120)), framedPrefix: '2001:db8:0:1::/64' });
    note(fact('interim', at(180)));
    t.same(holders(), [1]);
    t.match(directory.sessions.ofSubscriber(1), [{ prefixes: [delegatedPrefix, '2001:db8:0:1::/64'] }]);
    t.same(directory.sessions.prefixHolders('vrf', delegatedPrefix), [], 'in its routing domain alone');
    note({ ...fact('stop', { at: 200, sessionSeconds: 200 }), delegatedPrefix });
    t.same(holders(), []);
  },
);
