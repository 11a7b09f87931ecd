// Who a packet means: the order of the profile, and never a guess.

import t from 'tap';
import type { IdentityRules, SessionNames } from '../../src/handlers/identity.js';
import { findIdentity, resolveSubscriber, type PacketNames } from '../../src/handlers/identity.js';
import { Subscriber, type SubscriberFields } from '../../src/domain/subscriber.js';
import { Directory } from '../../src/store/directory.js';

const MAC = '00:11:22:33:44:55';
const ADDRESS = 0x6440_0001;

function rules(...identity: IdentityRules['identity']): IdentityRules {
  return {
    identity,
    option82Auth: 'port',
    realm: { handling: 'strip', suffixSeparators: '@', prefixSeparators: '\\', only: ['isp.example'] },
    mac: { formats: ['colon', 'hyphen', 'dot', 'bare'], sources: ['User-Name', 'Calling-Station-Id'] },
  };
}

function directory(...subscribers: readonly Partial<SubscriberFields>[]): Directory {
  const held = new Directory();
  subscribers.forEach((fields, index) =>
    held.putSubscriber(
      new Subscriber({
        id: index + 1,
        accountId: 1,
        login: `nobody${String(index)}`,
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
        ...fields,
      }),
    ),
  );
  return held;
}

function names(fields: Partial<PacketNames>): PacketNames {
  return { userName: undefined, callingStation: undefined, framedAddress: undefined, ...fields };
}

t.test('the order of the profile decides', async (test) => {
  const held = directory({ login: 'alice' }, { mac: MAC }, { staticAddress: ADDRESS });
  const all = names({ userName: 'alice', callingStation: MAC, framedAddress: ADDRESS });
  const cases: readonly [string, IdentityRules, PacketNames, string][] = [
    ['login first', rules('login', 'mac', 'address'), all, '1 by login'],
    ['mac first', rules('mac', 'login', 'address'), all, '2 by mac'],
    ['address first', rules('address', 'mac', 'login'), all, '3 by address'],
    ['a login that nobody has falls through', rules('login', 'mac'), { ...all, userName: 'bob' }, '2 by mac'],
    ['only what the profile names', rules('login'), { ...all, userName: 'bob' }, 'none by login'],
    ['a MAC as User-Name', rules('login', 'mac'), names({ userName: '0011.2233.4455' }), '2 by mac'],
    [
      'User-Name before Calling-Station-Id',
      rules('mac'),
      names({ userName: '00-11-22-33-44-55', callingStation: '66:77:88:99:aa:bb' }),
      '2 by mac',
    ],
    ['an address as User-Name', rules('address'), names({ userName: '100.64.0.1' }), '3 by address'],
    ['a realm that is taken off', rules('login'), names({ userName: 'alice@isp.example' }), '1 by login'],
    ['a realm that is not', rules('login'), names({ userName: 'alice@other.example' }), 'none by login'],
    ['logins differ by case', rules('login'), names({ userName: 'Alice' }), 'none by login'],
    ['a MAC of zeros is nobody', rules('mac'), names({ callingStation: '00:00:00:00:00:00' }), 'none by nothing'],
    ['nothing to look by', rules('login', 'mac', 'address'), names({}), 'none by nothing'],
    ['an empty User-Name is none', rules('login'), names({ userName: '' }), 'none by nothing'],
  ];
  for (const [name, its, given, expected] of cases) {
    const found = findIdentity(held, its, given);
    const by = found.found === 'none' ? found.soughtBy : found.by;
    test.equal(`${found.found === 'one' ? String(found.subscriber.id) : found.found} by ${by}`, expected, name);
  }
});

t.test('two matches are several, not the first', async (test) => {
  const held = directory({ mac: MAC }, { mac: MAC }, { login: 'alice' });
  test.same(findIdentity(held, rules('mac', 'login'), names({ userName: 'alice', callingStation: MAC })), {
    found: 'several',
    by: 'mac',
    subscriberIds: [1, 2],
  });
});

t.test('a deleted subscriber is meant only when nobody else is', async (test) => {
  const successor = directory({ login: 'alice', deleted: true }, { login: 'alice' });
  test.match(findIdentity(successor, rules('login'), names({ userName: 'alice' })), {
    found: 'one',
    subscriber: { id: 2 },
  });
  const gone = directory({ login: 'alice', deleted: true }, { mac: MAC });
  test.match(findIdentity(gone, rules('login'), names({ userName: 'alice' })), { found: 'one', subscriber: { id: 1 } });
  test.match(
    findIdentity(gone, rules('login', 'mac'), names({ userName: 'alice', callingStation: MAC })),
    { found: 'one', subscriber: { id: 2 }, by: 'mac' },
    'the same device under a new login',
  );
});

t.test('whose session: Class first, then the names', async (test) => {
  const held = directory({ login: 'alice' }, { mac: MAC }, { mac: '66:77:88:99:aa:bb' }, { mac: '66:77:88:99:aa:bb' });
  const session = (fields: Partial<SessionNames>): SessionNames => ({
    login: '',
    callingStation: null,
    address: null,
    class: null,
    ...fields,
  });
  const its = rules('login', 'mac', 'address');
  test.equal(resolveSubscriber(held, its, session({ login: 'alice' })), 1);
  test.equal(
    resolveSubscriber(held, its, session({ login: 'alice', class: { subscriberId: 99, policyHash: 0, offerId: 1 } })),
    99,
    'even one released since',
  );
  test.equal(resolveSubscriber(held, its, session({ callingStation: MAC })), 2);
  test.equal(resolveSubscriber(held, its, session({ callingStation: '66:77:88:99:aa:bb' })), 'ambiguous');
  test.equal(resolveSubscriber(held, its, session({ login: 'nobody', address: '10.0.0.1' })), undefined);
  test.equal(resolveSubscriber(held, its, session({ address: 'fe80::1' })), undefined);
});
