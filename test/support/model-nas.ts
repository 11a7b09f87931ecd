// A NAS that does what commands say, and nothing else. Enters: planned commands. Leaves: what it has. Invariant: one that names an
// entry it does not have changes nothing; an addition makes an entry with nothing on, closed or open as the model was told.

import type { PlannedCommand, PresentService, ServiceKey, ServiceState } from '../../src/domain/service-state.js';

export interface ModelEntry {
  key: ServiceKey;
  blocked: boolean;
  redirect: boolean;
  ownDisabled: boolean;
  authorised: boolean;
  rate: PresentService['rate'];
  services: Set<string>;
}

export const keyText = (key: ServiceKey) =>
  [key.login, key.mac, key.address, key.framedPrefix, key.delegatedPrefix].join('|');

function entryOf(state: PresentService): ModelEntry {
  return { ...state, services: new Set(state.services) };
}

/** A NAS with entries that are found by their keys. */
export class ModelNas {
  readonly entries = new Map<string, ModelEntry>();

  constructor(
    private readonly additionOpens: boolean,
    ...states: readonly ServiceState[]
  ) {
    for (const state of states) if (state.present) this.entries.set(keyText(state.key), entryOf(state));
  }

  do(command: PlannedCommand): void {
    const { name, data } = command;
    const at = keyText(data.key);
    if (name === 'user_del') this.entries.delete(at);
    else if (name === 'user_add') {
      if (!this.entries.has(at)) this.entries.set(at, this.newEntry(data.key));
    } else change(this.entries.get(at), command);
  }

  /** Everything is lost, as after a change of the device. */
  wipe(): void {
    this.entries.clear();
  }

  /** What differs from what is desired, in words; nothing when all is well. */
  differencesFrom(desired: ServiceState): string[] {
    const wrong: string[] = [];
    for (const [at, entry] of this.entries) {
      if (!desired.present || at !== keyText(desired.key)) wrong.push(`there is an entry under ${at}`);
      else wrong.push(...differences(entry, desired));
    }
    if (desired.present && !this.entries.has(keyText(desired.key))) wrong.push('there is no entry');
    return wrong;
  }

  private newEntry(key: ServiceKey): ModelEntry {
    return {
      key,
      blocked: !this.additionOpens,
      redirect: false,
      ownDisabled: false,
      authorised: false,
      rate: { downBps: null, upBps: null },
      services: new Set(),
    };
  }
}

/** A NAS with one session of the subscriber. */
export class ModelSession {
  entry: ModelEntry | undefined;

  constructor(state: PresentService) {
    this.entry = entryOf(state);
  }

  do(command: PlannedCommand): void {
    if (command.name === 'user_add') throw new Error('nobody can make a session');
    if (command.name === 'user_del' || command.name === 'user_disconnect') this.entry = undefined;
    else change(this.entry, command);
  }

  /** A session that is over cannot be what is desired; it is not wrong either. */
  differencesFrom(desired: ServiceState): string[] {
    if (this.entry === undefined) return [];
    return desired.present ? differences(this.entry, { ...desired, authorised: true }) : ['the session is there'];
  }
}

function differences(entry: ModelEntry, desired: PresentService): string[] {
  const shown = (state: ModelEntry | PresentService) =>
    Object.entries({
      blocked: state.blocked,
      redirect: state.redirect,
      ownDisabled: state.ownDisabled,
      authorised: state.authorised,
      rate: `${String(state.rate.downBps)}/${String(state.rate.upBps)}`,
      services: [...state.services].sort().join(),
    });
  const wanted = new Map(shown(desired));
  return shown(entry).flatMap(([name, is]) =>
    is === wanted.get(name) ? [] : [`${name} is ${String(is)} and not ${String(wanted.get(name))}`],
  );
}

function change(entry: ModelEntry | undefined, { name, data, service }: PlannedCommand): void {
  if (entry === undefined) return;
  switch (name) {
    case 'user_drop':
      entry.blocked = true;
      break;
    case 'user_accept':
      entry.blocked = false;
      break;
    case 'own_disabled':
      entry.ownDisabled = true;
      break;
    case 'own_disabled_cancel':
      entry.ownDisabled = false;
      break;
    case 'user_redirect':
      entry.redirect = true;
      break;
    case 'user_redirect_cancel':
      entry.redirect = false;
      break;
    case 'user_auth':
      entry.authorised = true;
      break;
    case 'user_disconnect':
      entry.authorised = false;
      break;
    case 'user_rate_set':
      entry.rate = data.rate;
      break;
    case 'user_rate_set_cancel':
      entry.rate = { downBps: null, upBps: null };
      break;
    case 'usluga_activated':
      entry.services.add(service!);
      break;
    case 'usluga_deactivated':
      entry.services.delete(service!);
      break;
    default:
      throw new Error(`no change: ${name}`);
  }
}
