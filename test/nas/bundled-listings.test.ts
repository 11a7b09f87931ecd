/**
 * What the bundled profiles list, from what their NASes print to entries with limits and rates, and what the reconciler makes of it.
 */
import { execFile } from 'node:child_process';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { classify } from '../../src/domain/reconcile.js';
import type { ListedEntry } from '../../src/nas/driver.js';
import { listedEntries, listingManner, mergedEntries } from '../../src/nas/listed-entries.js';
import { renderCommandLine } from '../../src/nas/command-template.js';
import { compileProfile } from '../../src/nas/profile.js';
import { confFolder } from '../config/conf-folder.js';
import { contextWith, present } from './command-context.js';
import { smallEncoder } from './small-dictionary.js';

async function profileNamed(t: Parameters<typeof confFolder>[0], name: string) {
  const folder = await confFolder(t, {});
  await folder.write('conf/key', 'a key\n');
  await folder.write(
    'conf/nas.d/a.toml',
    `name = "a"\naddress = "10.0.0.2"\nprofile = "${name}"\nsecret = "pk3Lx9Qv7Tz1Wd5Rb8Ym"\n[ssh]\nkey_file = "key"\n`,
  );
  const profile = compileProfile((await folder.load()).profiles[name]!, smallEncoder);
  const steps = profile.commands.get('users_from_nas')?.steps ?? [];
  const lines = steps
    .flatMap((step) => (step.send === 'ssh' ? step.lines : []))
    .map((line) => {
      const rendered = renderCommandLine(line, contextWith());
      return rendered.outcome === 'line' ? rendered.line : '';
    });
  return { folder, lines, manner: listingManner(profile.profile.listing) };
}

/** The findings about one subscriber who should be served at 50/10 Mbit/s at 100.64.3.7. */
function findings(listed: readonly ListedEntry[], desired = present): readonly string[] {
  const wanted = {
    enforcementId: 1,
    generation: 1,
    subscriberId: 17,
    login: 'ivanov',
    desired,
    known: { applied: { state: desired, evidence: 'output' as const }, attempted: [] },
    isInHand: false,
  };
  const input = { listed, wanted: [wanted], marked: new Map(), adopted: new Set<string>(), onlyServed: false };
  return classify(input).map(({ kind, text }) => `${kind}: ${text}`);
}

// As nftables 1.0.6 prints it.
const table = `table inet sluice {
	set users {
		type ipv4_addr
		elements = { 100.64.3.7 comment "sluice-17", 100.64.3.8 comment "sluice-19",
			     100.64.10.9 comment "sluice-18", 192.0.2.1 }
	}

	set users6 {
		type ipv6_addr
		flags interval
		elements = { 2001:db8:1::/64 }
	}

	map class_of {
		type ipv4_addr : classid
		elements = { 100.64.3.7 : 1:307, 100.64.10.9 : 1:a09 }
	}

	set blocked {
		type classid
		elements = { 1:308, 1:a09 }
	}

	set own_disabled {
		type classid
	}

	set redirected {
		type classid
		elements = { 1:308 }
	}

	set garden {
		type ipv4_addr
		flags interval
		elements = { 203.0.113.80 }
	}

	chain from_subscriber {
		meta priority @blocked drop
		ip saddr 100.64.9.9 accept
	}
}
`;
// As iproute2 6.1 prints them.
const down = `class htb 1:307 root prio 0 rate 50Mbit ceil 50Mbit burst 1600b cburst 1600b
class htb 1:308 root prio 0 rate 100Gbit ceil 100Gbit burst 0b cburst 0b
class htb 1:a09 root prio 0 rate 1234Kbit ceil 1234Kbit burst 1599b cburst 1599b
`;
const up = `class htb 1:307 root leaf 8001: prio 0 rate 10Mbit ceil 10Mbit burst 1600b cburst 1600b
class htb 1:a09 root prio 0 rate 999bit ceil 999bit burst 1600b cburst 1600b
`;

t.test('linux-nft-ssh: sets and classes become one line for each address', async (t) => {
  const { folder, lines, manner } = await profileNamed(t, 'linux-nft-ssh');
  const bin = join(folder.root, 'bin');
  await mkdir(bin);
  const program = async (name: string, script: string): Promise<void> => {
    await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`);
    await chmod(join(bin, name), 0o755);
  };
  await writeFile(join(bin, 'table'), table);
  await writeFile(join(bin, 'sluice-down'), down);
  await writeFile(join(bin, 'sluice-up'), up);
  await program('nft', `[ "$*" = "list table inet sluice" ] && cat ${bin}/table`);
  await program('tc', `[ "$1 $2 $3" = "class show dev" ] && cat ${bin}/$4`);
  const shell = async () =>
    await promisify(execFile)('/bin/sh', ['-c', lines.map((line) => `${line}\n[ $? -eq 0 ] || exit 1`).join('\n')], {
      env: { PATH: `${bin}:/usr/bin:/bin`, LC_ALL: 'C' },
    });
  const { stdout } = await shell();
  const entries = mergedEntries(listedEntries(stdout, manner), manner);
  const free = { blocked: false, redirect: false, ownDisabled: false };
  t.same(
    entries
      .map(({ subscriberId, address, policy }) => ({ subscriberId, address, policy }))
      .sort((a, b) => (a.subscriberId ?? 0) - (b.subscriberId ?? 0)),
    [
      { subscriberId: null, address: '192.0.2.1', policy: { ...free, downBps: null, upBps: null } },
      { subscriberId: 17, address: '100.64.3.7', policy: { ...free, downBps: 50e6, upBps: 10e6 } },
      { subscriberId: 18, address: '100.64.10.9', policy: { ...free, blocked: true, downBps: 1_234_000, upBps: 999 } },
      {
        subscriberId: 19,
        address: '100.64.3.8',
        policy: { ...free, blocked: true, redirect: true, downBps: null, upBps: null },
      },
    ],
  );
  const own = entries.filter(({ subscriberId }) => subscriberId === 17);
  t.same(findings(own), [], 'what is as it should be is no finding');
  t.same(findings(own, { ...present, redirect: true, rate: { downBps: 20e6, upBps: 10_000_999 } }), [
    'wrong-policy: not redirected, down 50000000 bit/s instead of 20000000 bit/s',
  ]);

  await program('nft', 'echo "Error: No such file or directory" >&2; exit 1');
  await t.rejects(shell(), /No such file/, 'a table that is missing is an error, not an empty list');
});

// As the documents of RouterOS print it; `terse` puts each item on a line.
const lists = (
  rest: string,
) => ` 0   comment=sluice-17 list=sluice-users address=100.64.3.7 creation-time=nov/22/2026 01:02:03
 1 X list=sluice-redirect address=100.64.3.7 comment=sluice-17
 2   list=sluice-users address=192.0.2.1
 3 D address=100.64.3.9 list=garden
${rest}`;
const queue = (limit: string) =>
  ` 0    comment=sluice-17 name=sluice-17 target=100.64.3.7/32 parent=none packet-marks="" priority=8/8 max-limit=${limit} limit-at=0/0 burst-limit=0/0`;

t.test('mikrotik-ipoe-ssh: the lists and the queue of a subscriber become one entry', async (t) => {
  const { lines, manner } = await profileNamed(t, 'mikrotik-ipoe-ssh');
  t.same(
    lines.map((line) => line.split(' print ')[0]),
    ['/ip firewall address-list', '/queue simple'],
  );
  const entriesOf = (output: string) => mergedEntries(listedEntries(output, manner), manner);
  const ofAlice = (output: string) => entriesOf(output).filter(({ subscriberId }) => subscriberId === 17);
  const free = { blocked: false, redirect: false, ownDisabled: false };
  const blocked = ' 4   list=sluice-blocked address=100.64.3.7 comment=sluice-17\r';
  const own = ' 5   comment=sluice-17 list=sluice-own-disabled address=100.64.3.7';
  const whole = (rest: string, limit: string) => `${lists(rest)}\n${queue(limit)}\n`;
  const cases: readonly [what: string, output: string, policy: object, findings: readonly string[]][] = [
    ['served', whole('', '10M/50M'), { ...free, added: true, downBps: 50e6, upBps: 10e6 }, []],
    [
      'blocked in two ways',
      whole(`${blocked}\n${own}`, '10M/50M'),
      { ...free, added: true, blocked: true, ownDisabled: true, downBps: 50e6, upBps: 10e6 },
      ['wrong-policy: blocked, voluntarily blocked'],
    ],
    [
      'another rate',
      whole('', '1500k/50500000'),
      { ...free, added: true, downBps: 50_500_000, upBps: 1_500_000 },
      ['wrong-policy: down 50500000 bit/s instead of 50000000 bit/s, up 1500000 bit/s instead of 10000000 bit/s'],
    ],
    [
      'no queue',
      lists(''),
      { ...free, added: true, downBps: null, upBps: null },
      ['wrong-policy: down unlimited instead of 50000000 bit/s, up unlimited instead of 10000000 bit/s'],
    ],
    [
      'a queue without an entry',
      queue('10M/50M'),
      { ...free, added: false, downBps: 50e6, upBps: 10e6 },
      ['wrong-policy: not added'],
    ],
    [
      'an unlimited queue',
      whole('', '0/0'),
      { ...free, added: true, downBps: null, upBps: null },
      ['wrong-policy: down unlimited instead of 50000000 bit/s, up unlimited instead of 10000000 bit/s'],
    ],
  ];
  for (const [what, output, policy, found] of cases) {
    t.match(ofAlice(output), [{ subscriberId: 17, address: '100.64.3.7', policy }], what);
    t.equal(ofAlice(output).length, 1, what);
    t.same(findings(ofAlice(output)), found, what);
  }
  const others = entriesOf(whole('', '0/0')).filter(({ subscriberId }) => subscriberId === null);
  t.match(others, [{ address: '192.0.2.1', policy: { added: true } }, { address: '100.64.3.9' }], 'entries of others');
  const elsewhere = entriesOf(`${lists('')}\n${queue('10M/50M').replace('100.64.3.7', '100.64.3.70')}`);
  t.same(
    elsewhere.flatMap(({ subscriberId, address }) => (subscriberId === 17 ? [address] : [])),
    ['100.64.3.7', '100.64.3.70'],
    'what stands at another address is another entry',
  );
  t.end();
});
