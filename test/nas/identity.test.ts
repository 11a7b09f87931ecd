// What a profile makes of the names in a request.
import fc from 'fast-check';
import t from 'tap';
import { profileSchema } from '../../src/config/profile-schema.js';
import { camelKeys } from '../../src/config/config.js';
import { isWithoutPassword, loginOf, macOf } from '../../src/nas/identity.js';

const defaults = camelKeys(
  profileSchema.parse({ description: 'x', channel: 'dhcp', state: { active: { answer: 'accept' } } }),
);
const strip = { ...defaults.realm, handling: 'strip' as const };

t.test('realms are taken off as the rules say', async (t) => {
  const table: readonly [
    rules: Parameters<typeof loginOf>[0],
    userName: string,
    login: string,
    realm: string | undefined,
  ][] = [
    [defaults.realm, 'ivanov@isp', 'ivanov@isp', undefined],
    [strip, 'ivanov', 'ivanov', undefined],
    [strip, 'ivanov@isp', 'ivanov', 'isp'],
    [strip, 'ivanov@home@isp', 'ivanov@home', 'isp'],
    [strip, 'ISP\\ivanov', 'ivanov', 'ISP'],
    [strip, 'A\\B\\ivanov', 'B\\ivanov', 'A'],
    [strip, '@isp', '@isp', undefined],
    [strip, 'ISP\\', 'ISP\\', undefined],
    [strip, 'ivanov@', 'ivanov', ''],
    [strip, '', '', undefined],
    [{ ...strip, only: ['isp.example'] }, 'ivanov@ISP.Example', 'ivanov', 'ISP.Example'],
    [{ ...strip, only: ['isp.example'] }, 'ivanov@gmail.example', 'ivanov@gmail.example', undefined],
    [{ ...strip, suffixSeparators: '%@' }, 'ivanov@home%isp', 'ivanov@home', 'isp'],
    [{ ...strip, suffixSeparators: '' }, 'ivanov@isp', 'ivanov@isp', undefined],
    [{ ...strip, prefixSeparators: '/' }, 'isp/ivanov', 'ivanov', 'isp'],
  ];
  for (const [rules, userName, login, realm] of table)
    t.same(loginOf(rules, userName), { login, realm }, JSON.stringify(userName));
});

t.test('a name never becomes empty, and nothing but a realm and its separator is lost', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', '@', '\\', 'b') }), (userName) => {
        const { login, realm } = loginOf(strip, userName);
        if (realm === undefined) return login === userName;
        return login !== '' && [`${login}@${realm}`, `${realm}\\${login}`].includes(userName);
      }),
    ),
  );
});

t.test('a MAC is found where the profile looks, in the forms it allows', async (t) => {
  const mac = 'aa:bb:cc:dd:ee:0f';
  const table: readonly [
    rules: Parameters<typeof macOf>[0],
    user: string | undefined,
    station: string | undefined,
    expected: string | undefined,
  ][] = [
    [defaults.mac, 'AA:BB:CC:DD:EE:0F', undefined, mac],
    [defaults.mac, 'aa-bb-cc-dd-ee-0f', undefined, mac],
    [defaults.mac, 'aabb.ccdd.ee0f', undefined, mac],
    [defaults.mac, 'aabbccddee0f', undefined, mac],
    [defaults.mac, 'ivanov', mac, mac],
    [defaults.mac, undefined, mac, mac],
    [defaults.mac, '02:00:00:00:00:01', mac, '02:00:00:00:00:01'],
    [{ ...defaults.mac, sources: ['Calling-Station-Id', 'User-Name'] }, '02:00:00:00:00:01', mac, mac],
    [{ ...defaults.mac, sources: ['User-Name'] }, 'ivanov', mac, undefined],
    [{ ...defaults.mac, formats: ['colon'] }, 'aabbccddee0f', undefined, undefined],
    [{ ...defaults.mac, formats: ['bare'] }, 'aabbccddee0f', undefined, mac],
    [defaults.mac, '00:00:00:00:00:00', undefined, undefined],
    [defaults.mac, 'ivanov', '100.64.0.1', undefined],
    [defaults.mac, undefined, undefined, undefined],
  ];
  for (const [rules, user, station, expected] of table)
    t.equal(macOf(rules, user, station), expected, `${user} ${station}`);
});

t.test('no password is asked for only when the profile says that the NAS vouches', async (t) => {
  const mac = 'aa:bb:cc:dd:ee:0f';
  const octets = (text: string): Buffer => Buffer.from(text);
  const table: readonly [
    noPassword: ('absent' | 'empty' | 'mac' | 'user-name')[],
    password: Buffer | undefined,
    mac: string | undefined,
    expected: boolean,
  ][] = [
    [[], undefined, mac, false],
    [[], octets(''), mac, false],
    [[], octets(mac), mac, false],
    [['absent'], undefined, mac, true],
    [['absent'], octets(''), mac, false],
    [['empty'], octets(''), mac, true],
    [['empty'], undefined, mac, false],
    [['empty'], octets('x'), mac, false],
    [['mac'], octets(mac), mac, true],
    [['mac'], octets('AA-BB-CC-DD-EE-0F'), mac, true],
    [['mac'], octets('02:00:00:00:00:01'), mac, false],
    [['mac'], octets('hello'), mac, false],
    [['mac'], Buffer.from([0xff, 0, 0x80]), mac, false],
    [['mac'], octets(mac), undefined, false],
    [['absent', 'empty', 'mac'], undefined, undefined, true],
    [['absent', 'empty', 'mac'], octets(''), undefined, true],
    [['user-name'], octets('olt1/0/2/3:7'), undefined, true],
    [['user-name'], octets('olt1/0/2/3:8'), mac, false],
    [['user-name'], octets(mac), mac, false],
    [['user-name'], octets(''), mac, false],
    [['mac'], octets('olt1/0/2/3:7'), mac, false],
  ];
  for (const [noPassword, password, of, expected] of table) {
    const label = `${noPassword.join('+')} ${password?.toString('hex')} ${of}`;
    t.equal(isWithoutPassword({ noPassword }, password, of, octets('olt1/0/2/3:7')), expected, label);
  }
});
