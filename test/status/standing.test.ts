/** Why somebody is online or not: every kind, and which cause wins over which, in both languages. */
import t from 'tap';
import type { AccessDecision } from '../../src/domain/access.js';
import { leaseEndOf, standingOf, type StandingInput } from '../../src/domain/standing.js';
import { english } from '../../src/status/english.js';
import { Format } from '../../src/status/format.js';
import { russian } from '../../src/status/russian.js';

const NOW_MS = Date.UTC(2026, 10, 21, 12, 0, 0);
const minutesAgo = (minutes: number): Date => new Date(NOW_MS - minutes * 60_000);

const accept: AccessDecision = { answer: 'accept', state: 'active', slot: 0, address: { from: 'none' } };
const garden: AccessDecision = { ...accept, state: 'redirect' };
const refuse = (reason: Extract<AccessDecision, { answer: 'reject' }>['reason']): AccessDecision => ({
  answer: 'reject',
  reason,
});
const session = { nasName: 'bras1', address: '100.64.0.7', startedAt: minutesAgo(10), suspect: false };
const attempt = (minutes: number, outcome: 'accept' | 'reject' | 'discard', reason: string) => ({
  at: minutesAgo(minutes),
  nasName: 'bras1',
  outcome,
  reason,
});
const end = { endedAt: minutesAgo(5), nasName: 'bras1', cause: 'stop', lease: undefined };
const sw1 = { name: 'sw1', status: 'down', since: minutesAgo(15) } as const;
const refusal = (minutes: number, reason: string) => ({ at: minutesAgo(minutes), address: '100.65.0.9', reason });
const nothing: StandingInput = {
  deleted: false,
  sessions: [],
  decision: accept,
  lastAttempt: undefined,
  lastEnd: undefined,
};

const cases: {
  readonly name: string;
  readonly given: Partial<StandingInput>;
  readonly kind: string;
  readonly en: RegExp;
  readonly ru: RegExp;
}[] = [
  {
    name: 'a live session',
    given: { sessions: [session] },
    kind: 'online',
    en: /^Online since 2026-11-21 11:50:00 on bras1 with 100\.64\.0\.7\.$/,
    ru: /^В сети с 2026-11-21 11:50:00 на bras1, адрес 100\.64\.0\.7\.$/,
  },
  {
    name: 'a live session that the next login would not get',
    given: { sessions: [session], decision: refuse('own-disabled') },
    kind: 'online',
    en: /next login meets: voluntarily blocked/,
    ru: /При следующем входе: добровольная блокировка/,
  },
  {
    name: 'a live session in the walled garden',
    given: { sessions: [session], decision: garden },
    kind: 'online',
    en: /next login meets: walled garden: no money/,
    ru: /ограниченный доступ: нет денег/,
  },
  {
    name: 'a live session that fills the limit is no news',
    given: { sessions: [session], decision: refuse('session-limit') },
    kind: 'online',
    en: /100\.64\.0\.7\.$/,
    ru: /100\.64\.0\.7\.$/,
  },
  {
    name: 'a live session of a deleted one',
    given: { sessions: [session], deleted: true },
    kind: 'online',
    en: /the subscriber is deleted/,
    ru: /абонент удалён/,
  },
  {
    name: 'two sessions, the newest silent',
    given: { sessions: [{ ...session, suspect: true }, session] },
    kind: 'online',
    en: /2 sessions, though the NAS has been silent/,
    ru: /сессий: 2, но NAS слишком долго/,
  },
  {
    name: 'deleted',
    given: { deleted: true, decision: refuse('deleted') },
    kind: 'deleted',
    en: /^Offline: the subscriber is deleted\.$/,
    ru: /^Не в сети: абонент удалён\.$/,
  },
  {
    name: 'blocked now, whatever happened before',
    given: { decision: refuse('admin-blocked'), lastAttempt: attempt(1, 'reject', 'wrong-password') },
    kind: 'refused',
    en: /blocked by the administration\. Last asked 1 min ago on bras1\.$/,
    ru: /заблокирован администрацией\. Последний запрос: 1 мин назад, bras1\.$/,
  },
  {
    name: 'a wrong password after the last session',
    given: { lastEnd: end, lastAttempt: attempt(2, 'reject', 'wrong-password') },
    kind: 'failed-attempt',
    en: /2 min ago on bras1, was rejected: the password is wrong\.$/,
    ru: /2 мин назад, bras1\) отклонён: неверный пароль\.$/,
  },
  {
    name: 'a wrong password before the last session is old news',
    given: { lastEnd: end, lastAttempt: attempt(9, 'reject', 'wrong-password') },
    kind: 'ended',
    en: /since 2026-11-21 11:55:00: ended by the NAS on bras1/,
    ru: /с 2026-11-21 11:55:00: сессия на bras1 завершена на NAS/,
  },
  {
    name: 'a request without an answer',
    given: { lastAttempt: attempt(2, 'discard', 'overloaded') },
    kind: 'failed-attempt',
    en: /not answered: too many password checks/,
    ru: /без ответа: слишком много проверок/,
  },
  {
    name: 'let in, but only into the walled garden',
    given: { decision: garden },
    kind: 'restricted',
    en: /only as: walled garden: no money/,
    ru: /только так: ограниченный доступ: нет денег/,
  },
  {
    name: 'accepted, and the NAS is silent',
    given: { lastAttempt: attempt(1, 'accept', 'active') },
    kind: 'accepted-without-session',
    en: /reported no session/,
    ru: /не сообщил о сессии/,
  },
  {
    name: 'its lease expired',
    given: { lastEnd: { ...end, lease: 'expired' } },
    kind: 'ended',
    en: /since 2026-11-21 11:55:00: the DHCP lease expired\. Nothing stands in the way/,
    ru: /с 2026-11-21 11:55:00: аренда DHCP истекла\. Препятствий нет/,
  },
  {
    name: 'the switch is down, whatever was refused before',
    given: {
      device: sw1,
      lastEnd: end,
      lastAttempt: attempt(20, 'reject', 'wrong-password'),
      lastRefusal: refusal(30, 'no-line'),
    },
    kind: 'device-down',
    en: /^Offline: sw1, which it is plugged into, has been down since 2026-11-21 11:45:00\.$/,
    ru: /^Не в сети: sw1, куда включён абонент, не работает с 2026-11-21 11:45:00\.$/,
  },
  {
    name: 'monitoring cannot see the switch',
    given: { device: { ...sw1, status: 'unreachable' }, decision: undefined },
    kind: 'device-down',
    en: /has been unreachable for monitoring since/,
    ru: /недоступно для мониторинга с/,
  },
  {
    name: 'a block is nearer than the switch',
    given: { device: sw1, decision: refuse('admin-blocked') },
    kind: 'refused',
    en: /blocked by the administration/,
    ru: /заблокирован администрацией/,
  },
  {
    name: 'whoever asks through a switch that is down has a line that works',
    given: { device: sw1, lastAttempt: attempt(2, 'reject', 'wrong-password') },
    kind: 'failed-attempt',
    en: /the password is wrong/,
    ru: /неверный пароль/,
  },
  {
    name: 'the last lease was refused',
    given: { lastEnd: end, lastRefusal: refusal(3, 'mac-differs') },
    kind: 'lease-refused',
    en: /^Offline: the last DHCP lease, 100\.65\.0\.9 3 min ago, was not followed: the MAC address is not the one/,
    ru: /^Не в сети: последняя аренда DHCP \(100\.65\.0\.9, 3 мин назад\) оставлена без действия: MAC-адрес не тот/,
  },
  {
    name: 'a lease that was refused before the last session is old news',
    given: { lastEnd: end, lastRefusal: refusal(9, 'no-line') },
    kind: 'ended',
    en: /ended by the NAS on bras1/,
    ru: /завершена на NAS/,
  },
  {
    name: 'never heard of',
    given: {},
    kind: 'never-seen',
    en: /no request of this subscriber has ever come/,
    ru: /не было ни одного запроса/,
  },
  {
    name: 'nobody can tell yet',
    given: { decision: undefined },
    kind: 'not-known-yet',
    en: /still loading/,
    ru: /ещё загружает/,
  },
];

t.test('each case has one kind, and a sentence in each language', async (t) => {
  for (const { name, given, kind, en, ru } of cases) {
    const standing = standingOf({ ...nothing, ...given });
    t.equal(standing.kind, kind, name);
    t.match(english.sentence(standing, new Format(english.units, 'UTC', NOW_MS), undefined), en, name);
    t.match(russian.sentence(standing, new Format(russian.units, 'UTC', NOW_MS), undefined), ru, name);
  }
});

t.test('what a flag says of itself stands in the sentence', async (t) => {
  const standing = standingOf({ ...nothing, decision: refuse('redirect') });
  const format = new Format(english.units, 'UTC', NOW_MS);
  t.match(english.sentence(standing, format, 'owes 300, cli/olga'), / \(owes 300, cli\/olga\)\./);
});

t.test('why the session of a lease is over', async (t) => {
  t.same([1, 5, 10, 4, null].map(leaseEndOf), ['released', 'expired', 'replaced', 'replaced', 'replaced']);
});
