/**
 * What a NAS lists, read off its lines: by our mark, or as a profile says.
 */
import t from 'tap';
import { listedEntries, listingManner } from '../../src/nas/listed-entries.js';

t.test('without a pattern: our mark, the first address, and what is said of flags and rates', async (t) => {
  const table: [what: string, output: string, entries: readonly object[]][] = [
    ['nothing', '', []],
    ['a headline', 'Name  Address\n-----\n', []],
    ['an address alone', '10.0.0.1\n', [{ subscriberId: null, address: '10.0.0.1', text: '10.0.0.1' }]],
    [
      'a set of nft, in one line',
      ' elements = { 100.64.3.7 comment "sluice-17", 192.0.2.1 }',
      [
        { subscriberId: 17, address: '100.64.3.7', text: '100.64.3.7 comment "sluice-17"' },
        { subscriberId: null, address: '192.0.2.1', text: '192.0.2.1' },
      ],
    ],
    [
      'flags and rates',
      'sluice-5 100.64.0.5 flags=blocked+own_disabled down=50000000 up=unlimited',
      [
        {
          subscriberId: 5,
          address: '100.64.0.5',
          policy: { blocked: true, redirect: false, ownDisabled: true, downBps: 50_000_000, upBps: null },
        },
      ],
    ],
    [
      'no flags, in so many words',
      'sluice-5 100.64.0.5 flags=',
      [{ policy: { blocked: false, redirect: false, ownDisabled: false } }],
    ],
    ['flags of somebody else', '100.64.0.5 xflags=blocked', [{ subscriberId: null, policy: undefined }]],
    ['a mark in a longer word', 'my-sluice-5 sluice-5x 100.64.0.5', [{ subscriberId: null, address: '100.64.0.5' }]],
    ['no address', '100.64.0.256 1.2.3.4.5 sluice-6', [{ subscriberId: 6, address: null }]],
  ];
  for (const [what, output, entries] of table) {
    const found = listedEntries(output);
    t.equal(found.length, entries.length, what);
    t.match(found, entries, what);
  }
});

t.test(
  'by the pattern of a profile: its named groups count, and lines that do not match are passed over',
  async (t) => {
    const manner = listingManner({
      entry: '^host (?<address>\\S+) id (?<subscriber>\\d+)(?<blocked> DENY)? rate (?<down>\\d+)$',
    });
    t.same(
      listedEntries(
        [
          'host 100.64.0.1 id 1 rate 5000\r',
          'host 100.64.0.2 id 2 DENY rate 0',
          'host nowhere id 3 rate 1',
          '5 hosts',
        ].join('\n'),
        manner,
      ),
      [
        {
          subscriberId: 1,
          address: '100.64.0.1',
          text: 'host 100.64.0.1 id 1 rate 5000',
          policy: { blocked: false, downBps: 5000 },
        },
        {
          subscriberId: 2,
          address: '100.64.0.2',
          text: 'host 100.64.0.2 id 2 DENY rate 0',
          policy: { blocked: true, downBps: null },
        },
        { subscriberId: 3, address: null, text: 'host nowhere id 3 rate 1', policy: { blocked: false, downBps: 1 } },
      ],
    );
    t.same(
      listedEntries(`host 100.64.0.1 id 1 rate 5000${' '.repeat(3_000)}`, manner),
      [],
      'a line of any length is no entry',
    );
  },
);
