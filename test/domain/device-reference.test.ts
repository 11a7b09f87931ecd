/** By what people call devices and ports: every notation of one thing is one thing. */
import t from 'tap';
import { readDeviceAddress, readDeviceReference, readPort, readSerial } from '../../src/domain/device-reference.js';

const nothing = { id: null, mac: null, address: null, serial: null, name: null };

t.test('what a text may mean', async (t) => {
  const table: [text: string, meant: object][] = [
    ['sw-lenina-12', { serial: 'SW-LENINA-12', name: 'sw-lenina-12' }],
    ['коммутатор на крыше', { name: 'коммутатор на крыше' }],
    ['0:1:a:2:3:4', { mac: '00:01:0a:02:03:04', serial: '0:1:A:2:3:4', name: '0:1:a:2:3:4' }],
    ['001E.58AA.BBCC', { mac: '00:1e:58:aa:bb:cc', serial: '001E.58AA.BBCC', name: '001E.58AA.BBCC' }],
    // A serial of twelve hexadecimal digits may be a MAC: whoever looks finds out.
    ['48575443abcd', { mac: '48:57:54:43:ab:cd', serial: '48575443ABCD', name: '48575443abcd' }],
    ['00:00:00:00:00:00', { serial: '00:00:00:00:00:00', name: '00:00:00:00:00:00' }],
    ['10.0.0.5', { address: '10.0.0.5', serial: '10.0.0.5', name: '10.0.0.5' }],
    ['2001:DB8::0:5', { address: '2001:db8::5', serial: '2001:DB8::0:5', name: '2001:DB8::0:5' }],
    ['id:4711', { id: 4711, serial: 'ID:4711', name: 'id:4711' }],
    ['', {}],
    ['a\0b', {}],
    ['x'.repeat(101), {}],
  ];
  for (const [text, meant] of table)
    t.same(readDeviceReference(text), { ...nothing, ...meant }, JSON.stringify(text.slice(0, 30)));
});

t.test('addresses', async (t) => {
  const table: [text: string, address: string | undefined][] = [
    ['10.0.0.5', '10.0.0.5'],
    ['2001:0db8:0:0::5', '2001:db8::5'],
    ['010.0.0.5', undefined],
    ['10.0.0.0/24', undefined],
    ['2001:db8::/64', undefined],
    ['2001:db8::5/128', undefined],
    ['10.0.0.5\n', undefined],
    ['sw1', undefined],
  ];
  for (const [text, address] of table) t.equal(readDeviceAddress(text), address, JSON.stringify(text));
});

t.test('serials', async (t) => {
  t.equal(readSerial('hwtc1234abcd'), 'HWTC1234ABCD');
  for (const none of ['', 'a b', 'é', 'x'.repeat(65), 'a\n'])
    t.equal(readSerial(none), undefined, JSON.stringify(none));
});

t.test('ports', async (t) => {
  const table: [text: string, port: string | undefined][] = [
    ['5', '5'],
    ['005', '5'],
    ['0', '0'],
    ['000', '0'],
    ['0/1/05', '0/1/05'],
    ['GigabitEthernet 1/0/5', 'GigabitEthernet 1/0/5'],
    ['', undefined],
    [' 5', undefined],
    ['5 ', undefined],
    ['5\n', undefined],
    ['порт', undefined],
    ['x'.repeat(64), 'x'.repeat(64)],
    ['x'.repeat(65), undefined],
  ];
  for (const [text, port] of table) t.equal(readPort(text), port, JSON.stringify(text));
});
