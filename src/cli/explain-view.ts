/**
 * An explanation as text.
 *
 * Enters: an explanation. Leaves: one sentence first, then what it rests on.
 * Invariant: every value is made printable: logins, reasons and NAS texts were written by others.
 */
import { describeReason } from '../domain/access-reason.js';
import type { DiscardReason, RejectReason } from '../domain/access-reason.js';
import type { AccessAttemptRow, SubscriberEventRow } from '../store/subscriber-queries.js';
import type { CommandContext } from './command-context.js';
import { showDuration, showOctets, showTime } from './display.js';
import { lineFields } from './explain-line.js';
import { commandLine, placeLines } from './explain-places.js';
import type { AnswerAttribute, Explanation } from './explanation.js';
import { printable } from './printable.js';
import { drawFields } from './table.js';

/** Changes that are shown; all are in JSON. */
const shownEvents = 5;

/** Writes an explanation. */
export async function presentExplanation(context: CommandContext, explanation: Explanation): Promise<void> {
  const zone = await context.timeZone();
  await context.print(printable(explanation.sentence));
  await context.print('');
  await context.print(drawFields(fieldsOf(explanation, zone), context.columns));
  for (const place of explanation.places) {
    const { title, lines } = placeLines(place, zone);
    await section(context, title, lines);
  }
  if (explanation.commands.length > 0)
    await section(
      context,
      'last commands',
      explanation.commands.map((row) => commandLine(row, zone)),
    );
  if (explanation.answer === 'accept') {
    await section(context, `answer by the profile ${explanation.profile}`, explanation.attributes.map(attributeText));
  }
  for (const [state, rule] of Object.entries(explanation.states)) {
    if (state === explanation.answer_state) continue;
    const pool = rule.pool === null ? '' : `, pool ${rule.pool}`;
    await section(context, `${state}: ${rule.answer}${pool}`, rule.attributes.map(attributeText));
  }
  await section(
    context,
    'last changes',
    explanation.events.slice(0, shownEvents).map((event) => eventText(event, zone)),
  );
  await section(
    context,
    'last requests',
    explanation.attempts.map((attempt) => attemptText(attempt, zone)),
  );
}

async function section(context: CommandContext, title: string, lines: readonly string[]): Promise<void> {
  await context.print('');
  await context.print(printable(title));
  for (const line of lines.length === 0 ? ['(nothing)'] : lines) await context.print(`  ${printable(line)}`);
}

function fieldsOf(explanation: Explanation, zone: string): [string, string | null][] {
  const { subscriber, flags, sessions, period } = explanation;
  const set = flags.filter((flag) => flag.value);
  return [
    ['state', explanation.state],
    ['known by', explanation.known_by ?? 'nothing'],
    ...set.map((flag): [string, string] => [
      flag.flag,
      [
        flag.changed_at === null ? 'set' : `since ${showTime(flag.changed_at, zone)}`,
        flag.changed_by === null ? '' : `by ${flag.changed_by}`,
        flag.reason === null || flag.reason === '' ? '' : `because: ${flag.reason}`,
      ]
        .filter((part) => part !== '')
        .join(' '),
    ]),
    ['plan', subscriber.plan ?? 'none'],
    ['password', subscriber.password_form ?? 'none'],
    ['bound to', bindings(explanation)],
    ...lineFields(explanation, subscriber.mac, zone),
    ...sessions.map((session): [string, string] => [
      'session',
      `${session.nas_name} ${session.address ?? ''} since ${showTime(session.started_at, zone)}, ${showDuration(session.session_seconds)}${session.suspect ? ', suspect' : ''}`,
    ]),
    [
      'period',
      period === null
        ? 'none open'
        : `since ${showTime(period.opened_at, zone)}, in ${showOctets(period.input_octets)}, out ${showOctets(period.output_octets)}`,
    ],
  ];
}

function bindings({ subscriber }: Explanation): string {
  return [
    subscriber.nas_name === null ? '' : `NAS ${subscriber.nas_name}`,
    subscriber.associate_pppoe_mac ? `MAC ${subscriber.mac ?? '(none is set, so nobody gets in)'}` : '',
    subscriber.associate_vpn_ip ? `address ${subscriber.static_address ?? '(none is set, so nobody gets in)'}` : '',
  ]
    .filter((text) => text !== '')
    .join(', ');
}

function attributeText(attribute: AnswerAttribute): string {
  const name = attribute.tag === null ? attribute.name : `${attribute.name}:${String(attribute.tag)}`;
  return attribute.value === null
    ? `(${name} is left out: ${attribute.because ?? ''})`
    : `${name} = ${String(attribute.value)}`;
}

function eventText(event: SubscriberEventRow, zone: string): string {
  const reason = event.reason === null || event.reason === '' ? '' : ` because: ${event.reason}`;
  return `${showTime(event.at, zone)} ${event.field}: ${event.old_value ?? '(nothing)'} -> ${event.new_value ?? '(nothing)'} by ${event.changed_by}${reason}`;
}

function attemptText(attempt: AccessAttemptRow, zone: string): string {
  const times = attempt.repeats > 1 ? ` (${String(attempt.repeats)} times)` : '';
  // The reason of an Accept is the state it was made in; older releases may have known other words.
  const reason = attempt.outcome === 'accept' ? attempt.reason : sentenceOf(attempt.reason);
  return `${showTime(attempt.at, zone)} ${attempt.nas_name}: ${attempt.outcome}, ${reason}${attempt.address === null ? '' : `, ${attempt.address}`}${times}`;
}

function sentenceOf(reason: string): string {
  return describeReason(reason as RejectReason | DiscardReason) || reason;
}
